"""A storage that keeps results in memory, and a function that uses every part of it once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.result import AsyncResult, GroupResult

from django_celery_results import hookimpl
from django_celery_results.checks import check_plugin_settings
from django_celery_results.records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Expiry,
    ExpiryBatch,
    StoredGroup,
    StoredPart,
    StoredTask,
    TaskRecord,
    UnfinishedChord,
)


class Memory:
    """The storage ``memory``; its first reading and its observer of expiry raise errors."""

    django_celery_results_name = "memory"

    def __init__(self) -> None:
        self.broken = True
        self.tasks: dict[str, StoredTask] = {}
        self.groups: dict[str, StoredGroup] = {}
        self.chords: dict[str, ChordRecord] = {}

    @hookimpl
    def open_storage(self) -> Memory:
        """Return the plugin, which is also the storage."""
        return self

    @hookimpl
    def store_task(self, storage: Memory, task: StoredTask) -> bool:
        """Keep the task."""
        storage.tasks[task.task_id] = task
        return True

    @hookimpl
    def load_tasks(self, storage: Memory, task_ids: Sequence[str]) -> list[StoredTask]:
        """Return the tasks; raise at the first call."""
        if self.broken:
            self.broken = False
            raise ConnectionError("the storage is away for a moment")
        return [storage.tasks[task_id] for task_id in task_ids if task_id in storage.tasks]

    @hookimpl
    def forget_task(self, storage: Memory, task_id: str) -> bool:
        """Forget the task."""
        return storage.tasks.pop(task_id, None) is not None

    @hookimpl
    def save_group(self, storage: Memory, group: StoredGroup) -> bool:
        """Keep the group."""
        storage.groups[group.group_id] = group
        return True

    @hookimpl
    def load_group(self, storage: Memory, group_id: str) -> StoredGroup | None:
        """Return the group."""
        return storage.groups.get(group_id)

    @hookimpl
    def forget_group(self, storage: Memory, group_id: str) -> bool:
        """Forget the group."""
        return storage.groups.pop(group_id, None) is not None

    @hookimpl
    def start_chord(self, storage: Memory, chord: ChordRecord) -> bool:
        """Keep the chord."""
        return storage.chords.setdefault(chord.group_id, chord) is chord

    @hookimpl
    def resize_chord(self) -> bool:
        """Do nothing."""
        return False

    @hookimpl
    def chord_part_returned(self, storage: Memory, part: ChordPart) -> ChordProgress:
        """Count the first part as the last one."""
        results = storage.chords[part.group_id].results
        return ChordProgress(group_id=part.group_id, waiting=0, claimed=True, results=results)

    @hookimpl
    def store_part(self, storage: Memory, task: StoredTask) -> StoredPart:
        """Keep the task; count every part as the last one."""
        return StoredPart(written=self.store_task(storage, task), counted=False)

    @hookimpl
    def finish_chord(self, storage: Memory, group_id: str) -> bool:
        """Forget the chord."""
        return storage.chords.pop(group_id, None) is not None

    @hookimpl
    def unfinished_chords(self, storage: Memory) -> list[UnfinishedChord]:
        """List the chords, with no finished parts."""
        return [
            UnfinishedChord(
                group_id=one.group_id, results=one.results, counted=(), waiting=one.size
            )
            for one in storage.chords.values()
        ]

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Return true for the error that :meth:`load_tasks` raises."""
        return isinstance(error, ConnectionError)

    @hookimpl
    def expire_results(self, storage: Memory, expiry: Expiry) -> int:
        """Delete every task in one batch."""
        tasks = list(storage.tasks.values())
        ids = [task.task_id for task in tasks]
        batch = ExpiryBatch(storage="memory", kind="task", ids=ids, records=tasks)
        if expiry.before is not None and expiry.before(batch):
            storage.tasks.clear()
            if expiry.after is not None:
                expiry.after(batch)
        return len(ids)

    @hookimpl
    def after_expire(self) -> None:
        """Raise an error, as observers may."""
        raise RuntimeError("the observer looks away")


def make_app(backend: str = "django-results+memory://") -> Celery:
    """A Celery app whose results go to ``backend``, and which is not the current app."""
    app = Celery("memory", broker="memory://", backend=backend, set_as_current=False)
    app.conf.update(
        result_backend_always_retry=True, result_backend_base_sleep_between_retries_ms=1
    )
    return app


def use_everything(app: Celery) -> None:
    """Call every part of Celery's result backend API once, and the functions for site owners."""
    check_plugin_settings()
    backend: Any = app.backend
    result: AsyncResult[Any] = AsyncResult("a task", app=app)
    backend.mark_as_done("a task", 1, Context(id="a task"))
    result.get(timeout=5)
    group: Any = GroupResult("a group", [result], app=app)
    group.save()
    GroupResult.restore("a group", app=app)
    group.delete()
    backend.apply_chord(("a chord", [result]), None)
    backend.set_chord_size("a chord", 1)
    body = app.signature("nobody listens")
    request = Context(id="a task", group="a chord", chord=body, task="its name")
    backend.mark_as_done("a task", 1, request)
    backend.cleanup()
    result.forget()


def record(**facts: Any) -> TaskRecord:
    """A task that has just succeeded."""
    done = datetime.now(timezone.utc)
    return TaskRecord(**{"task_id": "a task", "status": "SUCCESS", "date_done": done, **facts})
