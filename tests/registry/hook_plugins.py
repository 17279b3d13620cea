"""Plugins for the tests of the hooks, and how these tests call them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.records import Contents, StoredTask, TaskRecord
from django_celery_results.registry.calling import Hooks
from tests.memory import record

CONTENTS = Contents(fields={}, content_type="application/json", content_encoding="utf-8")


class Shelf:
    """A storage that says who it is."""

    def __init__(self, name: str) -> None:
        self.django_celery_results_name = name

    @hookimpl
    def open_storage(self) -> str:
        """Answer with the name."""
        return self.django_celery_results_name

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Sign the task; the function has a name of its own."""
        task.worker = f"{task.worker or ''} {self.django_celery_results_name}".strip()
        return True

    @hookimpl
    def load_tasks(self) -> list[StoredTask]:
        """Have none."""
        return []

    @hookimpl
    def forget_task(self) -> None:
        """Give no answer, which it should."""


class Wrapping:
    """A plugin around whichever storage is used."""

    django_celery_results_name = "wrapping"

    @hookimpl(wrapper=True)
    def store_task(self, task: StoredTask) -> Generator[None, bool, bool]:
        """Sign the task."""
        task.worker = "wrapped"
        return (yield)


class Observer:
    """Looks on, and fails if it is to."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error
        self.seen: list[str] = []

    @hookimpl
    def after_store(self, task: TaskRecord) -> None:
        """Note the task."""
        self.seen.append(task.task_id)
        if self.error is not None:
            raise self.error


@contextmanager
def using(*plugins: object, storage: str = "django-db") -> Iterator[Hooks]:
    """The hooks as a backend on ``storage`` calls them, with ``plugins`` in the settings."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": list(plugins)}):
        yield Hooks(storage)


def stored() -> StoredTask:
    """A task for a storage."""
    return StoredTask(task_id="a task", status="SUCCESS", contents=CONTENTS)


def store(own: Hooks) -> StoredTask:
    """Store a task and return it as it now is."""
    task = stored()
    own.call("store_task", storage=None, task=task, present=lambda _contents: None)
    return task


def encode(own: Hooks) -> Any:
    """Encode one value."""
    return own.ask("encode", values={"result": None}, serializer="json", codings=[])


def observe(own: Hooks) -> None:
    """Tell the observers of a task."""
    own.observe("after_store", task=record(), stored=stored(), written=True)
