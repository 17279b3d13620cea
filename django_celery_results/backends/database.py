"""``django-db``: results in Django's ORM. The backend, and its storage plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from django.apps import apps
from django.db import connections, models, router

from .. import hookimpl
from ..selects import SelectByKey
from .base import ResultBackend
from .chord_counting import store_and_count
from .columns import (
    CONTENTS,
    columns_for,
    group_columns,
    require_id,
    stored_group,
    stored_task,
    task_columns,
)
from .database_chords import DatabaseChords
from .database_expiry import DatabaseExpiry
from .database_retry import prepare_retry
from .location import require_known

if TYPE_CHECKING:
    from ..managers import GroupResultManager, TaskResultManager
    from ..models import GroupResult, TaskResult
    from ..records import (
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

__all__ = ["DatabaseBackend", "DatabaseStorage", "DatabaseStoragePlugin", "plugin"]

_M = TypeVar("_M", bound=models.Model)


class _LazyModel(Generic[_M]):
    """A model as class attribute that is looked up at first use, when the apps are loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> type[_M]:
        return cast("type[_M]", apps.get_model("django_celery_results", self.name))


class DatabaseBackend(ResultBackend):
    """Celery results in the database, one row a task.

    A subclass may keep them in models of its own, through :attr:`TaskModel` and
    :attr:`GroupModel`, whose default managers are those of this package.
    """

    storage_name = "django-db"
    TaskModel: Any = _LazyModel["TaskResult"]("TaskResult")
    GroupModel: Any = _LazyModel["GroupResult"]("GroupResult")
    subpolling_interval = 0.5

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the models of this class."""
        return {"task_model": self.TaskModel, "group_model": self.GroupModel}


@dataclass(frozen=True)
class DatabaseStorage:
    """Where a ``django-db`` URL points: the models, and a database alias if it names one."""

    task_model: type[TaskResult]
    group_model: type[GroupResult]
    alias: str | None = None
    #: What reads rows, by the contents that are wanted of them.
    selects: dict[tuple[str, ...], SelectByKey] = field(default_factory=dict, compare=False)

    def tasks(self) -> TaskResultManager:
        """The manager of task results, bound to the alias."""
        return cast("TaskResultManager", self._manager(self.task_model))

    def groups(self) -> GroupResultManager:
        """The manager of group results, bound to the alias."""
        return cast("GroupResultManager", self._manager(self.group_model))

    def _manager(self, model: type[models.Model]) -> Any:
        manager: Any = model._default_manager
        return manager.db_manager(self.alias) if self.alias else manager

    def by_id(self, contents: tuple[str, ...]) -> SelectByKey:
        """Return what reads rows of tasks by their ids, as :func:`columns_for` has them."""
        if contents not in self.selects:
            rows = self.tasks().order_by().values_list(*columns_for(contents))
            self.selects[contents] = SelectByKey(rows, "task_id")
        return self.selects[contents]

    @property
    def chords(self) -> DatabaseChords:
        """The chords under way, on the same database."""
        return DatabaseChords(self.alias)

    def columns_to_write(self, task: StoredTask) -> dict[str, Any]:
        """Return the columns of the task's row, and note in it where the row goes.

        Those who look on from here on may want to write beside the row.
        """
        require_id(self.task_model, "task_id", task.task_id)
        task.using = task.using or self.write_alias()
        return task_columns(self.task_model, task)

    def write_alias(self) -> str:
        """Return the alias of the database that task results are written to."""
        return self.alias or router.db_for_write(self.task_model)


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
        """Write the row of the task, unless it says SUCCESS already."""
        columns = storage.columns_to_write(task)
        return storage.tasks().write(task.task_id, columns, using=task.using)

    @hookimpl(trylast=True)
    def load_tasks(
        self,
        storage: DatabaseStorage,
        task_ids: Sequence[str],
        primary: bool,
        contents: Sequence[str] | None,
    ) -> list[StoredTask]:
        """Read the rows of the tasks, in as few queries as the database takes."""
        alias = storage.write_alias() if primary else storage.tasks().db
        wanted = CONTENTS if contents is None else tuple(contents)
        rows = storage.by_id(wanted).fetch(connections[alias], task_ids)
        return [stored_task(row, wanted) for row in rows]

    @hookimpl(trylast=True)
    def forget_task(self, storage: DatabaseStorage, task_id: str) -> bool:
        """Delete the row of the task."""
        rows = storage.tasks().using(storage.write_alias()).filter(task_id=task_id)
        return bool(rows.delete()[0])

    @hookimpl(trylast=True)
    def save_group(self, storage: DatabaseStorage, group: StoredGroup) -> bool:
        """Write the row of the group."""
        require_id(storage.group_model, "group_id", group.group_id)
        storage.groups().write(group.group_id, group_columns(group))
        return True

    @hookimpl(trylast=True)
    def load_group(self, storage: DatabaseStorage, group_id: str) -> StoredGroup | None:
        """Read the row of the group."""
        row = storage.groups().filter(group_id=group_id).first()
        return None if row is None else stored_group(row)

    @hookimpl(trylast=True)
    def forget_group(self, storage: DatabaseStorage, group_id: str) -> bool:
        """Delete the row of the group."""
        groups = storage.groups()
        rows = groups.using(groups.write_alias()).filter(group_id=group_id)
        return bool(rows.delete()[0])

    @hookimpl(trylast=True)
    def start_chord(self, storage: DatabaseStorage, chord: ChordRecord) -> bool:
        """Insert the chord's counter."""
        return storage.chords.start(chord)

    @hookimpl(trylast=True)
    def resize_chord(
        self, storage: DatabaseStorage, group_id: str, size: int | None, added: Sequence[Any]
    ) -> bool:
        """Correct the chord's counter."""
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
        """Write the row and count the part in one transaction: in one statement if there is one."""
        row = {"task_id": task.task_id, **storage.columns_to_write(task)}
        using = cast("str", task.using)
        upsert = storage.tasks().upsert_of(row, using)
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
        """Say yes to what the driver's codes say may pass, outside of a transaction."""
        return prepare_retry(error, connections[storage.write_alias()])

    @hookimpl(trylast=True)
    def expire_results(self, storage: DatabaseStorage, expiry: Expiry) -> int:
        """Delete expired rows in batches, and chords that were given up long ago."""
        deleted = DatabaseExpiry(storage, expiry).delete()
        return sum(rows for kind, rows in deleted if kind != "chord")


plugin = DatabaseStoragePlugin()
