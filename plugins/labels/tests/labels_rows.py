"""Helpers that store a task with headers and read its labels."""

from __future__ import annotations

from typing import Any

from celery import Celery, states
from celery.app.task import Context

from django_celery_results_labels.models import Label

__all__ = ["labels_of", "request_with", "store"]


def request_with(task_id: str = "t1", **headers: Any) -> Context:
    """Return the request of a task with these headers."""
    return Context({"id": task_id, **headers})


def store(task_id: str = "t1", status: str = states.SUCCESS, **headers: Any) -> None:
    """Store the result of a task with these headers in the database."""
    app: Any = Celery("labels", backend="django-db", set_as_current=False)
    app.backend.store_result(task_id, 1, status, request=request_with(task_id, **headers))


def labels_of(task_id: str = "t1", using: str = "default") -> dict[str, str]:
    """Return the labels of a task from the table, by name."""
    rows = Label.objects.using(using).filter(task=task_id)
    return dict(rows.values_list("name", "value"))
