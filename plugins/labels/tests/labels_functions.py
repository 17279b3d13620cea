"""Functions for the setting ``FUNCTION``; the first is the documentation's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_celery_results.records import TaskRecord


def labels_of(task: TaskRecord) -> dict[str, object]:
    """Label each result with its queue, and with the stamps that Celery gave its task."""
    stamps = {name: values[0] for name, values in (task.stamps or {}).items()}
    return {"queue": task.queue, **stamps}


def id_of(task: TaskRecord) -> dict[str, object]:
    """Label every result, whatever it is."""
    return {"id": task.task_id}


def failing(_task: TaskRecord) -> dict[str, object]:
    """Raise."""
    raise RuntimeError("no labels today")


def odd(_task: TaskRecord) -> list[str]:
    """Return no mapping."""
    return ["tenant"]
