"""The target of a ``django-db`` URL: the models and the database of its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from django.db import models, router

from ...sql.selects import SelectByKey
from .chords import DatabaseChords
from .overrides import replaced
from .rows import (
    columns_for,
    require_id,
    task_columns,
)

if TYPE_CHECKING:
    from ...managers import GroupResultManager, TaskResultManager
    from ...models import GroupResult, TaskResult
    from ...records import (
        StoredTask,
    )

__all__ = ["DatabaseStorage"]


@dataclass(frozen=True)
class DatabaseStorage:
    """The target of a ``django-db`` URL: the models, and a database alias if it names one."""

    task_model: type[TaskResult]
    group_model: type[GroupResult]
    alias: str | None = None
    #: Returns further columns of a task's row, by its id, for a backend of the site's own.
    more_columns: Callable[[str], Mapping[str, Any]] | None = None
    #: The selects that read rows, by the contents that they read.
    selects: dict[tuple[str, ...], SelectByKey] = field(default_factory=dict, compare=False)

    def tasks(self) -> TaskResultManager[TaskResult]:
        """The manager of task results, bound to the alias."""
        return cast("TaskResultManager[TaskResult]", self._manager(self.task_model))

    def groups(self) -> GroupResultManager[GroupResult]:
        """The manager of group results, bound to the alias."""
        return cast("GroupResultManager[GroupResult]", self._manager(self.group_model))

    def _manager(self, model: type[models.Model]) -> Any:
        manager: Any = model._default_manager
        return manager.db_manager(self.alias) if self.alias else manager

    def by_id(self, contents: tuple[str, ...]) -> SelectByKey:
        """Return the select that reads the columns of :func:`columns_for` by the tasks' ids."""
        if contents in self.selects:
            return self.selects[contents]
        rows = self.tasks().order_by().values_list(*columns_for(contents))
        select = SelectByKey(rows, "task_id")
        if not replaced(self.tasks(), "get_queryset"):
            # A manager of the site's own may choose other rows each time.
            self.selects[contents] = select
        return select

    @property
    def chords(self) -> DatabaseChords:
        """The chords under way, on the same database."""
        return DatabaseChords(self.alias)

    def columns_to_write(self, task: StoredTask) -> dict[str, Any]:
        """Return the columns of the task's row, and note its database in ``task.using``.

        Observers use ``task.using`` to write to the same database.
        """
        require_id(self.task_model, "task_id", task.task_id)
        task.using = task.using or self.using
        columns = task_columns(self.task_model, task)
        if self.more_columns is None:
            return columns
        more, tasks = self.more_columns(task.task_id), self.tasks()
        # A store_result of the site's own may take anything; 2.6's ignored what is no column.
        known = more if replaced(tasks, "store_result") else tasks.columns_in(more)
        return {**columns, **known}

    @property
    def using(self) -> str:
        """The alias of the database that task results are written to."""
        return self.alias or router.db_for_write(self.task_model)

    @property
    def place(self) -> str:
        """The database and the table of task results, such as ``default-app.taskresult``."""
        return f"{self.using}-{self.task_model._meta.label_lower}"
