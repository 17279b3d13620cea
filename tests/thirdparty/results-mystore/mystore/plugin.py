"""The storage plugin: a module of hooks, each of which calls the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured

from .chords import Chords
from .store import Store

if TYPE_CHECKING:
    from django_celery_results.records import (
        ChordPart,
        ChordProgress,
        ChordRecord,
        Expiry,
        StorageLocation,
        StoredGroup,
        StoredTask,
    )

django_celery_results_name = "mystore"


@hookimpl
def open_storage(location: StorageLocation) -> Store:
    """Open the file that the URL names, and create it if it is missing."""
    if not location.path:
        raise BackendMisconfigured("mystore:// needs the path of a file: mystore:///tmp/results")
    return Store(f"/{location.path}")


@hookimpl
def store_task(storage: Store, task: StoredTask) -> bool:
    """Write the task, unless it has already succeeded."""
    return storage.store_task(task)


@hookimpl
def load_tasks(storage: Store, task_ids: Sequence[str]) -> list[StoredTask]:
    """Read the tasks."""
    return storage.load_tasks(task_ids)


@hookimpl
def forget_task(storage: Store, task_id: str) -> bool:
    """Delete the task."""
    return storage.delete("tasks", [task_id]) > 0


@hookimpl
def save_group(storage: Store, group: StoredGroup) -> bool:
    """Write the group."""
    return storage.save_group(group)


@hookimpl
def load_group(storage: Store, group_id: str) -> StoredGroup | None:
    """Read the group."""
    return storage.load_group(group_id)


@hookimpl
def forget_group(storage: Store, group_id: str) -> bool:
    """Delete the group."""
    return storage.delete("groups", [group_id]) > 0


@hookimpl
def start_chord(storage: Store, chord: ChordRecord) -> bool:
    """Write the chord."""
    return Chords(storage).start(chord)


@hookimpl
def resize_chord(storage: Store, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
    """Change the chord's size or results."""
    return Chords(storage).resize(group_id, size, added)


@hookimpl
def chord_part_returned(storage: Store, part: ChordPart) -> ChordProgress | None:
    """Count the part."""
    return Chords(storage).part_returned(part)


@hookimpl
def finish_chord(storage: Store, group_id: str) -> bool:
    """Delete the chord with its parts."""
    return Chords(storage).finish(group_id)


@hookimpl
def can_retry(error: Exception) -> bool:
    """Allow a retry if another process locked the file for too long."""
    return isinstance(error, sqlite3.OperationalError)


@hookimpl
def expire_results(storage: Store, expiry: Expiry) -> int:
    """Delete results that are too old."""
    return storage.expire(expiry)
