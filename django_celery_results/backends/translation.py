"""Converting Celery's requests and metas to the records of this package, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from celery import states
from celery.result import ResultBase
from kombu.utils.encoding import safe_repr

from ..records import Contents, Retention, StoredTask, TaskFacts, TaskRecord
from ..utils import text_id

if TYPE_CHECKING:
    from celery.app.task import Context

    from ..records import ResultTuple

__all__ = [
    "group_tuple",
    "leaf_signatures",
    "pending_meta",
    "plain",
    "reduced",
    "request_facts",
    "task_meta",
    "task_record",
    "to_stored",
    "values_to_encode",
]

FACTS = tuple(one.name for one in fields(TaskFacts))
#: Reads all the facts at once, which is faster than one by one.
_facts_of = attrgetter(*FACTS)
#: Facts, and below them values, that are stored only with ``result_extended``.
EXTENDED_FACTS = frozenset({"name", "worker", "periodic_task_name", "retries", "queue", "stamps"})
EXTENDED_VALUES = frozenset({"args", "kwargs"})
#: The encoded fields of a TaskRecord: all except the facts, and the headers, which are not stored.
VALUES = tuple(one.name for one in fields(TaskRecord) if one.name not in {*FACTS, "headers"})
_values_of = attrgetter(*VALUES)


def request_facts(request: Context | None) -> dict[str, Any]:
    """Return the facts in a task's request, with ``None`` for each that it lacks."""
    delivery = getattr(request, "delivery_info", None) or {}
    stamped = getattr(request, "stamped_headers", None) or ()
    stamps = getattr(request, "stamps", None) or {}
    return {
        "group_id": text_id(getattr(request, "group", None)),
        "parent_id": text_id(getattr(request, "parent_id", None)),
        # For a task that is not registered, a worker's request has the name under "name".
        "name": getattr(request, "task", None) or getattr(request, "name", None),
        "worker": getattr(request, "hostname", None),
        "periodic_task_name": getattr(request, "periodic_task_name", None),
        "retries": getattr(request, "retries", None),
        "queue": delivery.get("routing_key"),
        "stamps": {name: stamps[name] for name in stamped if name in stamps} or None,
    }


def task_meta(task: TaskFacts, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dict that Celery calls a task's meta, made from the facts and ``values``.

    ``values`` are decoded, by field name; a failure's result is not yet an exception. Entries
    that the task itself put into ``request.meta`` never hide the state or the result. The
    arguments and the name are present under Celery's names and under those of 2.6.
    """
    known = {name: getattr(task, name) for name in ("group_id", "parent_id", "retries", "queue")}
    args, kwargs = values.get("args"), values.get("kwargs")
    return {
        "worker": task.worker,
        "periodic_task_name": task.periodic_task_name,
        "name": task.name,
        "task_name": task.name,
        **{name: value for name, value in known.items() if value is not None},
        **(task.stamps or {}),
        **_own_meta(values.get("meta")),
        "task_id": task.task_id,
        "status": task.status,
        "result": values.get("result"),
        "traceback": values.get("traceback"),
        # Progress updates the column too, but only a final state is done.
        "date_done": task.date_done if task.is_ready else None,
        "args": args,
        "task_args": args,
        "kwargs": kwargs,
        "task_kwargs": kwargs,
    }


def _own_meta(meta: Any) -> Mapping[str, Any]:
    """Return the part of a meta that is stored as a value, without what Celery cannot read."""
    if not isinstance(meta, Mapping):
        return {}
    if not meta.get("children"):
        return meta
    try:
        children = [_result_tuple(one) for one in meta["children"]]
    except (TypeError, ValueError):
        children = []
    return {**meta, "children": children}


def pending_meta(task_id: str) -> dict[str, Any]:
    """Return the meta of a task that is not stored."""
    return task_meta(TaskFacts(task_id=task_id, status=states.PENDING), {})


def to_stored(
    task: TaskRecord, contents: Contents, retention: Retention | None, *, extended: bool
) -> StoredTask:
    """Return ``task`` in the form for storages: its facts, and contents instead of values."""
    facts = dict(zip(FACTS, _facts_of(task), strict=True))
    if not extended:
        facts |= dict.fromkeys(EXTENDED_FACTS)
    is_empty = task.status == states.PENDING and task.result is None
    return StoredTask(**facts, contents=contents, retention=retention, only_if_absent=is_empty)


def task_record(stored: StoredTask, values: Mapping[str, Any]) -> TaskRecord:
    """Return the record that ``stored`` was made from, with its decoded ``values``."""
    known = {name: values[name] for name in VALUES if name in values}
    return TaskRecord(**dict(zip(FACTS, _facts_of(stored), strict=True)), **known)


def values_to_encode(task: TaskRecord, *, extended: bool) -> dict[str, Any]:
    """Return the values of ``task`` to encode, by field name."""
    values = dict(zip(VALUES, _values_of(task), strict=True))
    return values if extended else values | dict.fromkeys(EXTENDED_VALUES)


def reduced(task: TaskRecord) -> TaskRecord:
    """Return ``task`` in a form that is easier to serialize, so that its result is not lost.

    Arguments become their repr unless they are text. A failure keeps only the children of its
    meta, because the task may have failed when the rest could not be serialized.
    """
    meta = dict(task.meta or {})
    if task.status in states.EXCEPTION_STATES:
        meta = {"children": meta.get("children")}
    return replace(task, meta=meta, args=_repr(task.args), kwargs=_repr(task.kwargs))


def _repr(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else safe_repr(value)


# -- Groups --------------------------------------------------------------------------


def group_tuple(group_id: str, saved: Any) -> ResultTuple:
    """Return a saved group in today's form, ``[[id, parent], children]``; empty if it is empty.

    Earlier releases also saved ``[id, children]``, a list of results without the group's id, and
    a list of ids. Raises :class:`ValueError` for anything else.
    """
    if isinstance(saved, ResultBase):
        saved = cast("Any", saved).as_tuple()
    if not saved:
        return ()
    if _is_result(saved):
        group = _result_tuple(saved)
        return group if group[1] is not None else [[group_id, None], [group]]
    members = saved if isinstance(saved, (list, tuple)) else [saved]
    return [[group_id, None], [_result_tuple(one) for one in members]]


def _result_tuple(saved: Any) -> ResultTuple:
    """Return one result in today's form; a task's, which is the usual one, unchanged."""
    match saved:
        case [[str(), _], None]:
            return cast("ResultTuple", saved)
        case ResultBase():
            return cast("ResultTuple", cast("Any", saved).as_tuple())
        case str():
            return [[saved, None], None]
        case [head, children] if _is_result(saved):
            head = [head, None] if isinstance(head, str) else head
            return [head, None if children is None else [_result_tuple(one) for one in children]]
    raise ValueError("it contains something that is neither an id nor a result")


def _is_result(saved: Any) -> bool:
    """Return whether ``saved`` is one result, of a task or of a group, in any form."""
    match saved:
        case [str() | [str(), _], None]:
            return True
        case [str() | [str(), _], [*children]]:
            # A list of two tasks has a pair with None in it here; a list of two ids, a string.
            return None not in children
    return False


# -- The body of a chord -------------------------------------------------------------

#: The kinds of signature that only hold others, and the arguments that hold them (Celery's
#: ``canvas``; the kind is a signature's ``subtask_type``).
CANVASES: Mapping[str, tuple[str, ...]] = {
    "chain": ("tasks",),
    "group": ("tasks",),
    "chord": ("header", "body"),
}


def plain(value: Any) -> Any:
    """Return ``value`` rebuilt from plain dicts and lists, which every serializer takes."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def leaf_signatures(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the single tasks in a signature or in a list of them, including those in canvases."""
    if not isinstance(value, Mapping):
        for one in value or ():
            yield from leaf_signatures(one)
    elif value.get("subtask_type") in CANVASES:
        for argument in CANVASES[value["subtask_type"]]:
            yield from leaf_signatures(value["kwargs"][argument])
    else:
        yield value
