"""Celery's methods that take an id, with ids of any type.

Sites pass a ``uuid.UUID`` (a URL converter, a model's key) or bytes where Celery expects text. The
rest of this package, the storages and the plugins see only text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.backends.base import BaseBackend

from ..utils import text_id

if TYPE_CHECKING:
    from celery.result import GroupResult

__all__ = ["TextIds"]


class TextIds(BaseBackend):
    """Calls Celery's own methods with the text of each id.

    These are the methods that look into Celery's cache of metas, or that change it: two ids with
    the same text have one entry there. :class:`.ResultBackend` implements the others.
    """

    def get_task_meta(self, task_id: Any, cache: bool = True) -> dict[str, Any]:
        """Return the meta of a task."""
        meta: dict[str, Any] = super().get_task_meta(text_id(task_id), cache)
        return meta

    def reload_task_result(self, task_id: Any) -> None:
        """Read the meta of a task again, although it is in Celery's cache."""
        super().reload_task_result(text_id(task_id))

    def is_cached(self, task_id: Any) -> bool:
        """Return whether the meta of a task or group is in Celery's cache."""
        return bool(super().is_cached(text_id(task_id)))

    def forget(self, task_id: Any) -> None:
        """Delete what is stored for a task."""
        super().forget(text_id(task_id))

    def get_group_meta(self, group_id: Any, cache: bool = True) -> dict[str, Any] | None:
        """Return the meta of a saved group, or ``None``."""
        meta: dict[str, Any] | None = super().get_group_meta(text_id(group_id), cache)
        return meta

    def reload_group_result(self, group_id: Any) -> None:
        """Read the meta of a group again, although it is in Celery's cache."""
        super().reload_group_result(text_id(group_id))

    def save_group(self, group_id: Any, result: GroupResult) -> Any:
        """Store the results of a group."""
        return super().save_group(text_id(group_id), result)

    def delete_group(self, group_id: Any) -> None:
        """Delete a saved group, but not the results of its tasks."""
        super().delete_group(text_id(group_id))
