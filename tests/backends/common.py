"""What several test modules of the backends use: rows, a cache's key, a plugin that hears."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results import hookimpl
from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, StoredTask, TaskRecord

    from .conftest import MakeBackend

COMMITTED = pytest.mark.django_db(transaction=True)
KEY = "celery-task-meta-t1"


class Recorder:
    """Hears of everything: a plugin."""

    django_celery_results_name = "recorder"

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.fails = False

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Note what was stored."""
        self.heard.append((task.result, stored.status, written))

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Note what is about to go, and read it."""
        if self.fails:
            raise ValueError("cannot take them")
        read = batch.read
        tasks: Any = batch.records if batch.kind == "task" else ()
        results = [read(one).result for one in tasks] if read else None
        self.heard.append(("before", batch.kind, list(batch.ids), results))

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Note what has gone."""
        self.heard.append(("after", batch.kind, list(batch.ids)))


def row(task_id: str = "t1") -> Any:
    """Return the row as the database has it."""
    return TaskResult.objects.get(task_id=task_id)


def make_row(task_id: str = "t1", **columns: Any) -> Any:
    """Make a row as 2.6 would have."""
    known = {"content_type": "application/json", "content_encoding": "utf-8"}
    return TaskResult.objects.create(
        task_id=task_id, **{**known, "status": states.SUCCESS, **columns}
    )


def make_like(make_backend: MakeBackend, backend: Any) -> Any:
    """Return another backend, with nothing cached, that accepts what the first one writes."""
    return make_backend(result_accept_content=backend.app.conf.result_accept_content)
