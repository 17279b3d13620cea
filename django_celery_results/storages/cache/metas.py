"""Records, and the values that a cache holds for them.

The value of a task is a dict whose keys are Celery's names for a task's meta. Release 2.6
wrote and read the same dict. Encoded contents are under the key ``contents``, together with
the content type and the encoding that decoding needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import states
from django.utils.dateparse import parse_datetime

from ...records import (
    PYTHON_CONTENT_TYPE,
    Contents,
    StoredTask,
)

__all__ = ["contents_from_dict", "contents_to_dict", "from_meta", "to_meta"]

FACTS = ("task_id", "status", "name", "worker", "periodic_task_name", "retries", "queue")
MEMBERSHIP = ("group_id", "parent_id")
ARGUMENTS = ("args", "kwargs")
VALUES = ("result", "traceback", *ARGUMENTS)
#: Keys that only encoded contents have; Celery's own metas lack them.
CODED = frozenset({"contents", "content_type", "content_encoding"})
#: The content type of a value that is not a dict.
UNKNOWN = "application/x-unknown"


def to_meta(task: StoredTask) -> dict[str, Any]:
    """Return the value that the cache keeps for ``task``."""
    contents = task.contents
    facts = {name: getattr(task, name) for name in (*FACTS, *MEMBERSHIP)}
    meta = {name: value for name, value in facts.items() if value is not None}
    meta["date_done"] = task.date_done.isoformat() if task.date_done else None
    if task.stamps:
        # Stamps come first, so that a stamp named "status" does not hide the status.
        meta = {**task.stamps, "stamped_headers": list(task.stamps), **meta}
    fields = dict(contents.fields)
    if contents.content_type == PYTHON_CONTENT_TYPE:
        # The task's own meta must not hide the status or the result.
        meta = {**(fields.pop("meta") or {}), **meta}
        extended = {name: fields.pop(name) for name in ARGUMENTS}
        meta |= {name: value for name, value in extended.items() if value is not None}
    return {**meta, **contents_to_dict(contents, fields)}


def from_meta(task_id: str, meta: Any) -> StoredTask:
    """Return the task of a cached value; for a value that is not a dict, an unreadable FAILURE."""
    if not isinstance(meta, Mapping):
        # A final state ends every wait; the content type makes each read raise.
        unknown = Contents(
            fields={"result": repr(meta)}, content_type=UNKNOWN, content_encoding="binary"
        )
        return StoredTask(task_id=task_id, status=states.FAILURE, contents=unknown)
    rest = dict(meta)
    facts = {name: rest.pop(name, None) for name in (*FACTS, *MEMBERSHIP)}
    facts |= {"task_id": task_id, "date_done": _parsed(rest.pop("date_done", None))}
    stamped = rest.pop("stamped_headers", None) or ()
    facts["stamps"] = {name: rest.pop(name) for name in stamped if name in rest} or None
    if rest.keys() >= CODED:
        contents = contents_from_dict(rest)
    else:
        fields = {name: rest.pop(name, None) for name in VALUES}
        contents = _objects({**fields, "meta": rest})
    return StoredTask(**facts, contents=contents)


def _parsed(date: Any) -> Any:
    return parse_datetime(date) if isinstance(date, str) else date


def _objects(fields: Mapping[str, Any]) -> Contents:
    return Contents(fields=fields, content_type=PYTHON_CONTENT_TYPE, content_encoding="binary")


def contents_to_dict(contents: Contents, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``fields``, with the content type and encoding of ``contents`` if they are encoded."""
    if contents.content_type == PYTHON_CONTENT_TYPE:
        return dict(fields)
    return {
        "contents": dict(fields),
        "content_type": contents.content_type,
        "content_encoding": contents.content_encoding,
    }


def contents_from_dict(value: Mapping[str, Any]) -> Contents:
    """Return the contents that :func:`contents_to_dict` made ``value`` from."""
    if not value.keys() >= CODED:
        return _objects(value)
    return Contents(
        fields=value["contents"],
        content_type=value["content_type"],
        content_encoding=value["content_encoding"],
    )
