"""Rows, chords and a recording plugin, shared by the backends' test modules."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery._state import get_current_app
from celery.app.task import Context

from django_celery_results import hookimpl
from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, StoredTask, TaskRecord
    from django_celery_results.testing.fixtures import MakeBackend

COMMITTED = pytest.mark.django_db(transaction=True)
KEY = "celery-task-meta-t1"


def pickled(backend: Any) -> Any:
    """Return a copy of the backend through pickle, as Celery pickles tasks and results."""
    before = get_current_app()
    # The copy takes the current app as its own.
    backend.app.set_current()
    try:
        return pickle.loads(pickle.dumps(backend))
    finally:
        before.set_current()


class Recorder:
    """A plugin that records stores and expiries."""

    django_celery_results_name = "recorder"

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.fails = False

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Record what was stored."""
        self.heard.append((task.result, stored.status, written))

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Record the batch before its deletion, with the values read from it."""
        if self.fails:
            raise ValueError("cannot take them")
        read = batch.read
        results = [read(one).result for one in batch.records] if read else None
        self.heard.append(("before", batch.kind, list(batch.ids), results))

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Record the deleted batch."""
        self.heard.append(("after", batch.kind, list(batch.ids)))


def row(task_id: str = "t1") -> Any:
    """Return the row from the database."""
    return TaskResult.objects.get(task_id=task_id)


def make_row(task_id: str = "t1", **columns: Any) -> Any:
    """Make a row like those of 2.6."""
    known = {"content_type": "application/json", "content_encoding": "utf-8"}
    return TaskResult.objects.create(
        task_id=task_id, **{**known, "status": states.SUCCESS, **columns}
    )


def make_like(make_backend: MakeBackend, backend: Any) -> Any:
    """Return another backend, with an empty cache, that accepts what the first one writes."""
    return make_backend(result_accept_content=backend.app.conf.result_accept_content)


class Chord:
    """A chord ``c1``, whose parts a test returns by hand."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.app = backend.app
        self.sent: list[Any] = []
        sent = self.sent

        @self.app.task(name="body", shared=False)  # type: ignore[untyped-decorator]  # an app of Any
        def body(values: Any) -> None:
            sent.append(values)

        @self.app.task(name="ignoring", ignore_result=True, shared=False)  # type: ignore[untyped-decorator]  # as above
        def ignoring() -> None:
            """Do nothing; the task ignores its result."""

        self.body = body.s().set(task_id="body-id")

    def start(self, *members: Any) -> None:
        """Start it with a header of these ids, or lists of ids."""
        self.backend.apply_chord(("c1", [self.result(one) for one in members]), self.body)

    def result(self, member: Any) -> Any:
        """Return Celery's result of an id, or of a list of ids."""
        if isinstance(member, str):
            return self.app.AsyncResult(member)
        return self.app.GroupResult("g-" + member[0], [self.result(one) for one in member])

    def request(self, task_id: str, **facts: Any) -> Any:
        """Return the request of a header task."""
        return Context({"id": task_id, "group": "c1", "chord": self.body, **facts})

    def done(self, task_id: str, value: Any, **facts: Any) -> None:
        """Let a header task succeed."""
        self.backend.mark_as_done(task_id, value, request=self.request(task_id, **facts))

    def failed(self, task_id: str, error: Exception, **facts: Any) -> None:
        """Let a header task fail."""
        self.backend.mark_as_failure(task_id, error, request=self.request(task_id, **facts))
