"""``django-db``: results in Django's ORM. The backend, and its storage plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from django.apps import apps
from django.db import InterfaceError, OperationalError, connections, models, router
from django.db.models import Q
from django.utils import timezone

from .. import hookimpl
from ..conf import results_settings
from ..records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Expiry,
    ExpiryBatch,
    StorageLocation,
    StoredGroup,
    StoredTask,
)
from .base import ResultBackend
from .columns import (
    COLUMNS,
    require_length,
    stored_group,
    stored_task,
    stored_task_of,
    task_columns,
)
from .database_chords import DatabaseChords
from .location import require_known

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ..managers import GroupResultManager, TaskResultManager
    from ..models import GroupResult, TaskResult

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

    def tasks(self) -> TaskResultManager:
        """The manager of task results, bound to the alias."""
        return cast("TaskResultManager", self._manager(self.task_model))

    def groups(self) -> GroupResultManager:
        """The manager of group results, bound to the alias."""
        return cast("GroupResultManager", self._manager(self.group_model))

    def _manager(self, model: type[models.Model]) -> Any:
        manager: Any = model._default_manager
        return manager.db_manager(self.alias) if self.alias else manager

    @cached_property
    def rows(self) -> models.QuerySet[TaskResult, dict[str, Any]]:
        """All rows by their columns. Made once: resolving the names costs as much as a query."""
        rows: models.QuerySet[TaskResult, dict[str, Any]] = self.tasks().order_by().values(*COLUMNS)
        return rows

    @property
    def chords(self) -> DatabaseChords:
        """The chords under way, on the same database."""
        return DatabaseChords(self.alias)

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
        require_length(storage.task_model, "task_id", task.task_id)
        using = task.using or storage.alias
        tasks = storage.tasks()
        return tasks.write(task.task_id, task_columns(storage.task_model, task), using=using)

    @hookimpl(trylast=True)
    def load_tasks(
        self, storage: DatabaseStorage, task_ids: Sequence[str], primary: bool
    ) -> list[StoredTask]:
        """Read the rows of the tasks, in as few queries as the database takes."""
        manager = storage.tasks()
        alias = storage.write_alias() if primary else manager.db
        size = connections[alias].features.max_query_params or len(task_ids) or 1
        rows = storage.rows.using(alias)
        return [
            stored_task(row)
            for start in range(0, len(task_ids), size)
            for row in rows.filter(_is_one_of(task_ids[start : start + size]))
        ]

    @hookimpl(trylast=True)
    def forget_task(self, storage: DatabaseStorage, task_id: str) -> bool:
        """Delete the row of the task."""
        rows = storage.tasks().using(storage.write_alias()).filter(task_id=task_id)
        return bool(rows.delete()[0])

    @hookimpl(trylast=True)
    def save_group(self, storage: DatabaseStorage, group: StoredGroup) -> bool:
        """Write the row of the group."""
        require_length(storage.group_model, "group_id", group.group_id)
        contents = group.contents
        storage.groups().store_group_result(
            contents.content_type,
            contents.content_encoding,
            group.group_id,
            contents.fields["result"],
        )
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
    def finish_chord(self, storage: DatabaseStorage, group_id: str) -> bool:
        """Delete the chord's counter and parts."""
        return storage.chords.finish(group_id)

    @hookimpl(trylast=True)
    def can_retry(self, storage: DatabaseStorage, error: Exception) -> bool:
        """Say yes to lost connections, deadlocks and lock time-outs outside a transaction.

        Django raises all of these as one of two errors, and marks the connection that
        raised it, whichever the routers or ``using`` chose. One that is lost is closed,
        so that the next try opens a new one; inside the caller's own transaction nothing
        may be repeated, because what came before is lost with it.
        """
        if not isinstance(error, (InterfaceError, OperationalError)):
            return False
        marked = [one for one in connections.all(initialized_only=True) if one.errors_occurred]
        if any(map(_in_transaction, [*marked, connections[storage.write_alias()]])):
            return False
        for connection in marked:
            connection.close_if_unusable_or_obsolete()
        return True

    @hookimpl(trylast=True)
    def expire_results(self, storage: DatabaseStorage, expiry: Expiry) -> int:
        """Delete expired rows in batches, and chords that were given up long ago."""
        deleted = _expire(storage.tasks(), "task", stored_task_of, expiry)
        deleted += _expire(storage.groups(), "group", stored_group, expiry)
        given_up = max(expiry.expires or 0, results_settings.expire_unfinished_after)
        storage.chords.expire(timezone.now() - timedelta(seconds=given_up))
        return deleted


plugin = DatabaseStoragePlugin()


def _is_one_of(task_ids: Sequence[str]) -> Q:
    # One id is what is asked for most, and "=" is made in less time than "IN".
    return Q(task_id=task_ids[0]) if len(task_ids) == 1 else Q(task_id__in=task_ids)


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the caller has a transaction open, also one without autocommit."""
    is_open = connection.connection is not None
    return connection.in_atomic_block or (is_open and not connection.autocommit)


# -- Expiry --------------------------------------------------------------------------


def _expire(manager: Any, kind: Literal["task", "group"], to_record: Any, expiry: Expiry) -> int:
    def batch_of(rows: Sequence[Any]) -> ExpiryBatch:
        ids = [getattr(row, f"{kind}_id") for row in rows]
        records = [to_record(row) for row in rows]
        return ExpiryBatch(storage="django-db", kind=kind, ids=ids, records=records)

    ask = expiry.before
    before = None if ask is None else (lambda rows: ask(batch_of(rows)))
    batches: Iterator[list[Any]] = manager.expire_batches(expiry.expires, expiry.batch_size, before)
    deleted = 0
    for rows in batches:
        deleted += len(rows)
        if expiry.after is not None:
            expiry.after(batch_of(rows))
    return deleted
