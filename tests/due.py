"""Rows of a given age, for the tests of expiry."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from celery import states

from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from django.db.models import QuerySet

HOUR = 3600.0
DAY = 24 * HOUR


def ago(seconds: float) -> datetime:
    """Return the time so long ago."""
    return datetime.now(timezone.utc) - timedelta(seconds=seconds)


def make(count: int, age: float = 2 * HOUR, prefix: str = "t", **columns: Any) -> None:
    """Make rows that were last written ``age`` seconds ago."""
    using = columns.pop("using", "default")
    columns = {"status": states.SUCCESS, **columns}
    rows = TaskResult.objects.using(using)
    rows.bulk_create([TaskResult(task_id=f"{prefix}{one}", **columns) for one in range(count)])
    rows.filter(task_id__startswith=prefix).update(date_done=ago(age))


def ids(rows: QuerySet[TaskResult] | None = None) -> list[str]:
    """Return the ids of all rows."""
    rows = TaskResult.objects.all() if rows is None else rows
    return sorted(rows.values_list("task_id", flat=True))
