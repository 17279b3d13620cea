"""A plugin that implements every hook, keeps results in memory and notes each call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from celery import Celery, states
from celery.app.task import Context
from celery.result import AsyncResult, GroupResult

from django_celery_results import hookimpl
from django_celery_results.records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Coding,
    Contents,
    Expiry,
    ExpiryBatch,
    Retention,
    Serializer,
    StorageLocation,
    StoredGroup,
    StoredTask,
    TaskRecord,
    UnfinishedChord,
)


class Recording:
    """The storage ``recording``; it breaks down once, at the first reading."""

    django_celery_results_name = "recording"

    def __init__(self) -> None:
        #: The names of the arguments of each hook that was called, by its name.
        self.calls: dict[str, set[str]] = {}
        self.tasks: dict[str, StoredTask] = {}
        self.groups: dict[str, StoredGroup] = {}
        self.chords: dict[str, ChordRecord] = {}

    def note(self, hook: str, **arguments: object) -> bool:
        """Note a call; return whether it was the first of that hook."""
        first = hook not in self.calls
        self.calls[hook] = set(arguments)
        return first

    @hookimpl
    def contribute_serializers(self) -> Iterator[Serializer]:
        """Offer nothing."""
        self.note("contribute_serializers")
        yield from ()

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Offer nothing."""
        self.note("contribute_codings")
        yield from ()

    @hookimpl
    def encode(
        self, values: Mapping[str, Any], serializer: str, codings: Sequence[Coding]
    ) -> Contents | None:
        """Leave it to the codec."""
        self.note("encode", values=values, serializer=serializer, codings=codings)
        return None

    @hookimpl
    def decode(
        self, contents: Contents, accept: frozenset[str] | None, codings: Mapping[str, Coding]
    ) -> Mapping[str, Any] | None:
        """Leave it to the codec."""
        self.note("decode", contents=contents, accept=accept, codings=codings)
        return None

    @hookimpl
    def before_store(self, task: TaskRecord) -> None:
        """Amend nothing."""
        self.note("before_store", task=task)

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Look on."""
        self.note("after_store", task=task, stored=stored, written=written)

    @hookimpl
    def open_storage(self, location: StorageLocation) -> Recording:
        """Return the plugin, which is the storage too."""
        self.note("open_storage", location=location)
        return self

    @hookimpl
    def store_task(self, storage: Recording, task: StoredTask) -> bool:
        """Keep the task."""
        self.note("store_task", storage=storage, task=task)
        storage.tasks[task.task_id] = task
        return True

    @hookimpl
    def load_tasks(
        self,
        storage: Recording,
        task_ids: Sequence[str],
        primary: bool,
        contents: Sequence[str] | None,
    ) -> list[StoredTask]:
        """Return the tasks; fail at the first call."""
        details = {"task_ids": task_ids, "primary": primary, "contents": contents}
        if self.note("load_tasks", storage=storage, **details):
            raise ConnectionError("the storage is away for a moment")
        return [storage.tasks[task_id] for task_id in task_ids if task_id in storage.tasks]

    @hookimpl
    def forget_task(self, storage: Recording, task_id: str) -> bool:
        """Drop the task."""
        self.note("forget_task", storage=storage, task_id=task_id)
        return storage.tasks.pop(task_id, None) is not None

    @hookimpl
    def save_group(self, storage: Recording, group: StoredGroup) -> bool:
        """Keep the group."""
        self.note("save_group", storage=storage, group=group)
        storage.groups[group.group_id] = group
        return True

    @hookimpl
    def load_group(self, storage: Recording, group_id: str) -> StoredGroup | None:
        """Return the group."""
        self.note("load_group", storage=storage, group_id=group_id)
        return storage.groups.get(group_id)

    @hookimpl
    def forget_group(self, storage: Recording, group_id: str) -> bool:
        """Drop the group."""
        self.note("forget_group", storage=storage, group_id=group_id)
        return storage.groups.pop(group_id, None) is not None

    @hookimpl
    def start_chord(self, storage: Recording, chord: ChordRecord) -> bool:
        """Keep the chord."""
        self.note("start_chord", storage=storage, chord=chord)
        return storage.chords.setdefault(chord.group_id, chord) is chord

    @hookimpl
    def resize_chord(
        self, storage: Recording, group_id: str, size: int | None, added: Sequence[Any]
    ) -> bool:
        """Change nothing."""
        self.note("resize_chord", storage=storage, group_id=group_id, size=size, added=added)
        return False

    @hookimpl
    def chord_part_returned(self, storage: Recording, part: ChordPart) -> ChordProgress:
        """Let the first part be the last."""
        self.note("chord_part_returned", storage=storage, part=part)
        results = storage.chords[part.group_id].results
        return ChordProgress(group_id=part.group_id, waiting=0, claimed=True, results=results)

    @hookimpl
    def finish_chord(self, storage: Recording, group_id: str) -> bool:
        """Drop the chord."""
        self.note("finish_chord", storage=storage, group_id=group_id)
        return storage.chords.pop(group_id, None) is not None

    @hookimpl
    def unfinished_chords(self, storage: Recording) -> list[UnfinishedChord]:
        """List the chords, with nothing in."""
        self.note("unfinished_chords", storage=storage)
        return [
            UnfinishedChord(
                group_id=one.group_id, results=one.results, counted=(), waiting=one.size
            )
            for one in storage.chords.values()
        ]

    @hookimpl
    def can_retry(self, storage: Recording, error: Exception) -> bool:
        """Let what :meth:`load_tasks` raised be tried again."""
        self.note("can_retry", storage=storage, error=error)
        return isinstance(error, ConnectionError)

    @hookimpl
    def result_retention(self, task: TaskRecord) -> Retention | None:
        """Leave it to the settings."""
        self.note("result_retention", task=task)
        return None

    @hookimpl
    def expire_results(self, storage: Recording, expiry: Expiry) -> int:
        """Drop every task, in one batch."""
        self.note("expire_results", storage=storage, expiry=expiry)
        tasks = list(storage.tasks.values())
        ids = [task.task_id for task in tasks]
        batch = ExpiryBatch(storage="recording", kind="task", ids=ids, records=tasks)
        if expiry.before is not None and expiry.before(batch):
            storage.tasks.clear()
            if expiry.after is not None:
                expiry.after(batch)
        return len(ids)

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Let the batch go."""
        self.note("before_expire", batch=batch)

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Look on."""
        self.note("after_expire", batch=batch)


def make_app(backend: str = "django-results+recording://") -> Celery:
    """A Celery app whose results go to ``backend``; nobody else's current app."""
    app = Celery("recording", broker="memory://", backend=backend, set_as_current=False)
    app.conf.update(
        result_backend_always_retry=True, result_backend_base_sleep_between_retries_ms=1
    )
    return app


def use_everything(app: Celery) -> None:
    """Use every part of Celery's result backend API once, as a worker and a caller would."""
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
    backend.on_chord_part_return(request, states.SUCCESS, 1)
    backend.cleanup()
    result.forget()


def record(**facts: Any) -> TaskRecord:
    """A task that has succeeded just now."""
    done = datetime.now(timezone.utc)
    return TaskRecord(**{"task_id": "a task", "status": "SUCCESS", "date_done": done, **facts})
