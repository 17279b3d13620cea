"""Managers of a site's own that override methods of 2.6, which are then called as in 2.6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import states

from ...managers import GroupResultManager, TaskResultManager
from ...sql.saving import is_there
from .rows import group_from_row, task_from_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...records import StoredGroup, StoredTask

__all__ = ["get_group", "get_tasks", "replaced", "store_with"]

#: The methods of the managers as they were when this module was imported.
_OWN: Mapping[str, Any] = {
    "get_queryset": TaskResultManager.get_queryset,
    "store_result": TaskResultManager.store_result,
    "get_task": TaskResultManager.get_task,
    "store_group_result": GroupResultManager.store_group_result,
    "get_group": GroupResultManager.get_group,
}
#: Columns that 2.6 did not pass unless it had a value for them.
_NEW = ("date_started", "date_expires")


def replaced(manager: Any, name: str) -> bool:
    """Return whether the manager's class, or a patch, replaces the method ``name``."""
    return getattr(type(manager), name) is not _OWN[name]


def store_with(manager: Any, task: StoredTask, columns: Mapping[str, Any]) -> bool:
    """Store with the manager's own ``store_result``; return whether the row has the state."""
    if task.only_if_absent and is_there(manager.using(task.using).filter(task_id=task.task_id)):
        # Only the task says so: a manager sees a result that may be encoded in any way.
        return False
    arguments = {
        name: value for name, value in columns.items() if name not in _NEW or value is not None
    }
    row = manager.store_result(task_id=task.task_id, using=task.using, **arguments)
    if task.status == states.SUCCESS or row is None:
        return True
    return bool(row.status == task.status)


def get_tasks(manager: Any, task_ids: Sequence[str]) -> Iterator[StoredTask]:
    """Read each task with the manager's own ``get_task``, which makes a row if there is none."""
    for task_id in task_ids:
        row = manager.get_task(task_id)
        if not row._state.adding:  # noqa: SLF001 - Django documents it
            yield task_from_row(row)


def get_group(manager: Any, group_id: str) -> StoredGroup | None:
    """Read a group with the manager's own ``get_group``, which makes a row if there is none."""
    row = manager.get_group(group_id)
    return None if row._state.adding else group_from_row(row)  # noqa: SLF001 - as above
