"""Plugins for the tests of the hooks, and functions that call the hooks like a backend."""

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
    """A storage that signs what it stores with its name."""

    def __init__(self, name: str) -> None:
        self.django_celery_results_name = name

    @hookimpl
    def open_storage(self) -> str:
        """Return the storage's name."""
        return self.django_celery_results_name

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Sign the task; this function has another name than its hook."""
        task.worker = f"{task.worker or ''} {self.django_celery_results_name}".strip()
        return True

    @hookimpl
    def load_tasks(self) -> list[StoredTask]:
        """Return no tasks."""
        return []

    @hookimpl
    def forget_task(self) -> None:
        """Return ``None``, which is not a valid answer."""


class Wrapping:
    """A plugin that wraps whichever storage is used."""

    django_celery_results_name = "wrapping"

    @hookimpl(wrapper=True)
    def store_task(self, task: StoredTask) -> Generator[None, bool, bool]:
        """Sign the task."""
        task.worker = "wrapped"
        return (yield)


class Observer:
    """Records the observed tasks, and raises its error if it has one."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error
        self.seen: list[str] = []

    @hookimpl
    def after_store(self, task: TaskRecord) -> None:
        """Record the task."""
        self.seen.append(task.task_id)
        if self.error is not None:
            raise self.error


@contextmanager
def using(*plugins: object, storage: str = "django-db") -> Iterator[Hooks]:
    """The hooks of a backend on ``storage``, with ``plugins`` in the settings."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": list(plugins)}):
        yield Hooks(storage)


def stored() -> StoredTask:
    """A task to store."""
    return StoredTask(task_id="a task", status="SUCCESS", contents=CONTENTS)


def store(own: Hooks) -> StoredTask:
    """Store a task and return the stored version."""
    task = stored()
    own.call("store_task", storage=None, task=task, present=lambda _contents: None)
    return task


def encode(own: Hooks) -> Any:
    """Encode one value."""
    return own.ask("encode", values={"result": None}, serializer="json", codings=[])


def observe(own: Hooks) -> None:
    """Notify the observers of a task."""
    own.observe("after_store", task=record(), stored=stored(), written=True)
