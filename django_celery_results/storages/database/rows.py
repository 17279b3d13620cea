"""Records of tasks and groups, and the columns of their rows."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from celery import states
from django.utils import timezone

from ...exceptions import IdTooLong
from ...records import Contents, Retention, StoredGroup, StoredTask
from ...sql.clock import DatabaseNow
from ...sql.text import shorten, storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.db import models

    from ...models import GroupResult, TaskResult

__all__ = [
    "CONTENTS",
    "columns_for",
    "contents_of",
    "group_columns",
    "group_from_row",
    "require_id",
    "task_columns",
    "task_from_columns",
    "task_from_row",
]

logger = logging.getLogger(__name__)

#: The name of each content's column.
CONTENT_COLUMNS = {
    "result": "result",
    "traceback": "traceback",
    "meta": "meta",
    "args": "task_args",
    "kwargs": "task_kwargs",
}
#: The columns of the facts that a result is read with, in the order of :func:`task_from_columns`.
FACT_COLUMNS = ("task_id", "status", "task_name", "worker", "periodic_task_name", "date_done")
#: The contents that a row may have.
CONTENTS = tuple(CONTENT_COLUMNS)
#: Facts that are words of somebody's choosing, and may be longer than their column.
NAMES = ("status", "task_name", "worker", "periodic_task_name")

#: Seconds that a date can be ahead and still be one (a thousand years).
LONGEST_RETENTION = 1000 * 365 * 24 * 3600

_logged: set[str] = set()


def task_columns(model: type[TaskResult], task: StoredTask) -> dict[str, Any]:
    """Return the values of the row's columns, but for the id and the dates of writing."""
    contents = task.contents
    columns: dict[str, Any] = {
        column: contents.fields.get(name) for name, column in CONTENT_COLUMNS.items()
    }
    columns |= {
        "status": task.status,
        "task_name": task.name,
        "worker": task.worker,
        "periodic_task_name": task.periodic_task_name,
        "content_type": contents.content_type,
        "content_encoding": contents.content_encoding,
        "date_expires": _date_expires(task.retention),
    }
    for name in NAMES:
        columns[name] = _fitting(model, name, columns[name])
    if task.status == states.STARTED:
        columns["date_started"] = DatabaseNow()
    return columns


def _fitting(model: type[models.Model], column: str, text: str | None) -> str | None:
    """Return ``text`` as the column can hold it; what had to be changed is logged once."""
    if text is None:
        return None
    fitting = shorten(storable(text), _max_length(model, column))
    if fitting != text and column not in _logged:
        _logged.add(column)
        logger.warning(
            "%s %r does not fit its column and is stored as %r (logged once)",
            column,
            text,
            fitting,
        )
    return fitting


def require_id(model: type[models.Model], column: str, value: str | None) -> None:
    """Raise :class:`IdTooLong` for an id that the column cannot hold.

    Raises ``ValueError`` for none at all, as Celery's key-value backends do.
    """
    if not value:
        raise ValueError(f"{column} must not be empty. Got {value!r} instead.")
    limit = _max_length(model, column)
    if len(value) > limit:
        raise IdTooLong(
            f"{column} has {len(value)} characters and the column holds {limit}: "
            f"{shorten(value, 80)!r}. Use shorter ids; a longer column needs "
            "DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH raised and the column altered to match"
        )


@cache
def _max_length(model: type[models.Model], column: str) -> int:
    field = cast("models.CharField[Any, Any]", model._meta.get_field(column))
    return int(field.max_length or 0)


def _date_expires(retention: Retention | None) -> datetime | None:
    if retention is None:
        return None
    if retention.seconds is None:
        # Later than any clean-up, and within every database's range of dates.
        return timezone.now().replace(year=9999, month=12, day=30)
    seconds = min(retention.seconds, LONGEST_RETENTION)
    return timezone.now() + timedelta(seconds=seconds)


def columns_for(contents: Sequence[str]) -> list[str]:
    """Return the columns that a record with those contents is made from.

    Without the dates on which the row was created and the task started: nobody who reads
    a result looks at them, and to make a date of what PostgreSQL sends takes long.
    """
    wanted = [CONTENT_COLUMNS[name] for name in contents]
    return ["content_type", "content_encoding", *FACT_COLUMNS, *wanted]


def task_from_columns(row: Sequence[Any], contents: Sequence[str] = CONTENTS) -> StoredTask:
    """Return the record of a row, which is given as the values of :func:`columns_for`."""
    content_type, content_encoding, task_id, status, *others = row
    name, worker, periodic_task_name, date_done, *texts = others
    fields = dict(zip(contents, texts, strict=True))
    return StoredTask(
        task_id=task_id,
        status=status,
        name=name,
        worker=worker,
        periodic_task_name=periodic_task_name,
        date_done=date_done,
        contents=contents_of(fields, content_type, content_encoding),
    )


def contents_of(
    fields: Mapping[str, Any], content_type: str | None, content_encoding: str | None
) -> Contents:
    """Return a row's contents; rows made by hand may not say of what type they are."""
    return Contents(
        fields=fields,
        content_type=content_type or "application/json",
        content_encoding=content_encoding or "utf-8",
    )


def task_from_row(row: TaskResult) -> StoredTask:
    """Return the record of a model instance, with all of its dates."""
    task = task_from_columns([getattr(row, column) for column in columns_for(CONTENTS)])
    task.date_created, task.date_started = row.date_created, row.date_started
    return task


def group_columns(group: StoredGroup) -> dict[str, Any]:
    """Return the values of a group's row, but for the id and the dates of writing."""
    contents = group.contents
    return {
        "content_type": contents.content_type,
        "content_encoding": contents.content_encoding,
        "result": contents.fields["result"],
    }


def group_from_row(row: GroupResult) -> StoredGroup:
    """Return the record of a group's model instance."""
    contents = contents_of({"result": row.result}, row.content_type, row.content_encoding)
    return StoredGroup(group_id=row.group_id, contents=contents, date_done=row.date_done)
