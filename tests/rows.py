"""Functions that write and find rows, for the tests of the managers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import connections

from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_celery_results.managers import TaskResultManager

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
BOTH = pytest.mark.django_db(databases=["default", "secondary"])
COMMITTED = pytest.mark.django_db(transaction=True)


def write(
    status: str, task_id: str = "t1", only_if_absent: bool | None = None, **fields: Any
) -> bool:
    """Write one row."""
    manager: TaskResultManager[TaskResult] = TaskResult.objects
    row = {**JSON, "result": "1", "status": status, **fields}
    return manager.write(task_id, row, only_if_absent=only_if_absent)


def store(status: str = states.SUCCESS, **fields: Any) -> Any:
    """Store a result as callers of 2.6 do."""
    return TaskResult.objects.store_result(
        **{**JSON, "task_id": "t1", "result": "1", "status": status, **fields}
    )


def row(task_id: str = "t1") -> Any:
    """Return the row as it is in the database."""
    return TaskResult.objects.get(task_id=task_id)


def elsewhere(function: Callable[[], Any]) -> None:
    """Call ``function`` in a thread with new connections, and wait for it."""

    def run() -> None:
        try:
            function()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
