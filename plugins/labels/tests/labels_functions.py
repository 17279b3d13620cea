"""Functions for the setting ``FUNCTION``; the documentation shows the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_celery_results.records import TaskRecord


def labels_of(task: TaskRecord) -> dict[str, object]:
    """Label each result with its queue and the stamps of its task."""
    stamps = {name: values[0] for name, values in (task.stamps or {}).items()}
    return {"queue": task.queue, **stamps}


def id_of(task: TaskRecord) -> dict[str, object]:
    """Label every result with its task's id."""
    return {"id": task.task_id}


def failing(_task: TaskRecord) -> dict[str, object]:
    """Raise an error."""
    raise RuntimeError("no labels today")


def odd(_task: TaskRecord) -> list[str]:
    """Return a list instead of a mapping."""
    return ["tenant"]
