"""Labels with a real broker and worker: a task and all tasks that it sends have them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord
from celery._state import get_current_app
from labels_rows import labels_of

from django_celery_results.models import TaskResult
from django_celery_results_labels import labelled, labels
from tests import settings
from tests.integration import cleanup, notes, processes, tasks
from tests.integration.combinations import BY_NAME, make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from celery.result import AsyncResult


pytestmark = pytest.mark.django_db(transaction=True)

COMBINATION = BY_NAME["solo"]


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app and its worker, with the file-system broker."""
    settings.RUN_DIRECTORY.mkdir(exist_ok=True)
    before = get_current_app()
    app = make_app(COMBINATION, fixups=set())
    app.set_current()
    worker = processes.worker(COMBINATION)
    worker.start()
    yield app
    worker.stop()
    cleanup.empty_broker(app, COMBINATION)
    app.close()
    before.set_current()
    gc.collect()


def short_name(row: TaskResult) -> str:
    """Return the last word of a task's name."""
    return str(row.task_name).rpartition(".")[2]


@pytest.mark.usefixtures("app")
def test_labels_are_inherited_by_child_tasks() -> None:
    """Also through a retry, a chain, a chord and a failure; an unlabelled task has none."""
    with labels(tenant=3):
        parent: AsyncResult[Any] = tasks.parent.delay(2)
        retried: AsyncResult[Any] = tasks.flaky.delay(1)
        chain(tasks.add.s(1, 2), tasks.add.s(3)).delay()
        chord([tasks.add.s(1, 2), tasks.add.s(3, 4)], tasks.total.s()).delay()
        tasks.fail.delay()
    tasks.echo.delay(1)
    names = ["parent", *["add"] * 6, "flaky", "fail", "echo", "total"]
    finished = TaskResult.objects.filter(status__in=["SUCCESS", "FAILURE"])
    notes.eventually(lambda: sorted(names) == sorted(map(short_name, finished.all())), 40, 0.1)
    rest = TaskResult.objects.exclude(labelled(tenant=3))
    assert ["echo"] == list(map(short_name, rest))
    assert {"tenant": "3"} == labels_of(parent.id) == labels_of(retried.id)
