"""The storage plugin ``django-db``: results in rows of Django's ORM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.db import connections

from ... import hookimpl
from ...options import require_known
from ...sql.errors import prepare_retry
from .expiry import DatabaseExpiry
from .overrides import get_group, get_tasks, replaced, store_with
from .part_counting import store_and_count
from .rows import (
    CONTENTS,
    group_columns,
    group_from_row,
    require_id,
    task_from_columns,
)
from .storage import DatabaseStorage

if TYPE_CHECKING:
    from ...records import (
        ChordPart,
        ChordProgress,
        ChordRecord,
        Expiry,
        StorageLocation,
        StoredGroup,
        StoredPart,
        StoredTask,
        UnfinishedChord,
    )

__all__ = ["DatabaseStoragePlugin", "plugin"]


class DatabaseStoragePlugin:
    """The storage plugin ``django-db``."""

    @hookimpl(trylast=True)
    def open_storage(self, location: StorageLocation) -> DatabaseStorage:
        """Return the models and the database alias that ``location`` names."""
        where = "the result backend URL"
        require_known("option", location.options, ["serializer"], where)
        if location.path:
            require_known("path", [location.path], (), where)
        if location.alias:
            require_known("database alias", [location.alias], connections, where)
        get_model = apps.get_app_config("django_celery_results").get_model
        own = {"task_model": get_model("TaskResult"), "group_model": get_model("GroupResult")}
        return DatabaseStorage(**{**own, **location.parameters}, alias=location.alias or None)

    @hookimpl(trylast=True)
    def store_task(self, storage: DatabaseStorage, task: StoredTask) -> bool:
        """Write the row of the task, unless its state is already SUCCESS."""
        columns = storage.columns_to_write(task)
        if replaced(tasks := storage.tasks(), "store_result"):
            return store_with(tasks, task, columns)
        return tasks.write(
            task.task_id, columns, using=task.using, only_if_absent=task.only_if_absent
        )

    @hookimpl(trylast=True)
    def load_tasks(
        self,
        storage: DatabaseStorage,
        task_ids: Sequence[str],
        primary: bool,
        contents: Sequence[str] | None,
    ) -> list[StoredTask]:
        """Read the rows of the tasks, in as few queries as the database allows."""
        alias = storage.using if primary else storage.tasks().db
        if replaced(tasks := storage.tasks(), "get_task"):
            return list(get_tasks(tasks.db_manager(alias), task_ids))
        wanted = CONTENTS if contents is None else tuple(contents)
        rows = storage.by_id(wanted).fetch(connections[alias], task_ids)
        return [task_from_columns(row, wanted) for row in rows]

    @hookimpl(trylast=True)
    def forget_task(self, storage: DatabaseStorage, task_id: str) -> bool:
        """Delete the row of the task."""
        rows = storage.tasks().using(storage.using).filter(task_id=task_id)
        return bool(rows.delete()[0])

    @hookimpl(trylast=True)
    def save_group(self, storage: DatabaseStorage, group: StoredGroup) -> bool:
        """Write the row of the group."""
        require_id(storage.group_model, "group_id", group.group_id)
        groups, columns = storage.groups(), group_columns(group)
        if replaced(groups, "store_group_result"):
            groups.store_group_result(group_id=group.group_id, **columns)
        else:
            groups.write(group.group_id, columns)
        return True

    @hookimpl(trylast=True)
    def load_group(self, storage: DatabaseStorage, group_id: str) -> StoredGroup | None:
        """Read the row of the group."""
        groups = storage.groups()
        if replaced(groups, "get_group"):
            return get_group(groups, group_id)
        row = groups.filter(group_id=group_id).first()
        return None if row is None else group_from_row(row)

    @hookimpl(trylast=True)
    def forget_group(self, storage: DatabaseStorage, group_id: str) -> bool:
        """Delete the row of the group."""
        groups = storage.groups()
        rows = groups.using(groups.write_alias()).filter(group_id=group_id)
        return bool(rows.delete()[0])

    @hookimpl(trylast=True)
    def start_chord(
        self, storage: DatabaseStorage, chord: ChordRecord, recount: Callable[[], None]
    ) -> bool:
        """Insert the chord's counter, outside of the caller's transaction where possible."""
        return storage.chords.start(chord, recount)

    @hookimpl(trylast=True)
    def resize_chord(
        self, storage: DatabaseStorage, group_id: str, size: int | None, added: Sequence[Any]
    ) -> bool:
        """Set the size in the chord's counter, or add results to it."""
        return storage.chords.resize(group_id, size, added)

    @hookimpl(trylast=True)
    def chord_part_returned(
        self, storage: DatabaseStorage, part: ChordPart
    ) -> ChordProgress | None:
        """Count the part in the chord's counter."""
        return storage.chords.part_returned(part)

    @hookimpl(trylast=True)
    def store_part(
        self, storage: DatabaseStorage, task: StoredTask, part: ChordPart
    ) -> StoredPart | None:
        """Write the row and count the part in one transaction, in one statement where possible."""
        if replaced(storage.tasks(), "store_result"):
            return None
        row = {"task_id": task.task_id, **storage.columns_to_write(task)}
        using = cast("str", task.using)
        upsert = storage.tasks().upsert_of(row, using, task.only_if_absent)
        if upsert is None or using != storage.chords.using:
            return None
        return store_and_count(connections[using], upsert, row, part)

    @hookimpl(trylast=True)
    def unfinished_chords(self, storage: DatabaseStorage) -> Iterator[UnfinishedChord]:
        """Read the chords' counters and parts."""
        return storage.chords.unfinished()

    @hookimpl(trylast=True)
    def finish_chord(self, storage: DatabaseStorage, group_id: str) -> bool:
        """Delete the chord's counter and parts."""
        return storage.chords.finish(group_id)

    @hookimpl(trylast=True)
    def can_retry(self, storage: DatabaseStorage, error: Exception) -> bool:
        """Say yes, outside a transaction, if the driver's code is that of a temporary error."""
        return prepare_retry(error, connections[storage.using])

    @hookimpl(trylast=True)
    def expire_results(self, storage: DatabaseStorage, expiry: Expiry) -> int:
        """Delete expired rows in batches, and chords that were given up long ago."""
        deleted = DatabaseExpiry(storage, expiry).delete()
        return sum(rows for kind, rows in deleted if kind != "chord")


plugin = DatabaseStoragePlugin()
