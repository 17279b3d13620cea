"""Backends, models and managers as sites derived them from those of 2.6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from celery import states
from django.db.models.functions import Now

from django_celery_results.backends import CacheBackend, DatabaseBackend
from django_celery_results.managers import GroupResultManager, TaskResultManager
from django_celery_results.models import GroupResult, TaskResult

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Counting",
    "Describing",
    "Encrypting",
    "Explaining",
    "Labelled",
    "Managed",
    "Setting",
    "StoringAsBefore",
    "Telling",
    "Unmanaged",
]


class Encrypting(DatabaseBackend):
    """Turns every content around, which stands for an encryption; JSON alone is read as is."""

    rows: ClassVar[list[Any]] = []

    def encode_content(self, data: Any) -> tuple[str, str, Any]:
        """Encode as usual, then encrypt; a cipher gives bytes."""
        content_type, _, content = super().encode_content(data)
        return content_type, "secret", content[::-1].encode()

    def decode_content(self, obj: Any, content: Any) -> Any:
        """Decrypt, then decode as usual."""
        self.rows.append(obj)
        assert obj.content_encoding == "secret"
        obj.content_encoding = "utf-8"
        try:
            return super().decode_content(obj, content[::-1] if content else content)
        finally:
            obj.content_encoding = "secret"


class Describing(DatabaseBackend):
    """Stores what describes a call, in its own way."""

    #: What to add to, or to put in place of, the columns of the base class.
    columns: ClassVar[dict[str, Any]] = {}

    def _get_extended_properties(self, request: Any, traceback: Any) -> dict[str, Any]:
        return {**super()._get_extended_properties(request, traceback), **self.columns}


class Explaining(DatabaseBackend):
    """Adds to the meta of every task."""

    def _get_meta_from_request(self, request: Any = None) -> dict[str, Any]:
        return {**super()._get_meta_from_request(request), "site": "north"}


class StoringAsBefore(DatabaseBackend):
    """Stores with the helpers that 2.6's own method called."""

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: Any,
        traceback: str | None = None,
        request: Any = None,
        using: str | None = None,
        **kwargs: Any,
    ) -> Any:
        content_type, content_encoding, encoded = self.encode_content(result)
        meta = {
            **self._get_meta_from_request(request),
            "children": self.current_task_children(request),
        }
        columns = {
            "task_id": task_id,
            "status": status,
            "result": encoded,
            "content_type": content_type,
            "content_encoding": content_encoding,
            "meta": self.encode_content(meta)[2],
            "using": using,
            "traceback": traceback,
            "unknown": "ignored",
            **self._get_extended_properties(request, traceback),
        }
        if status == states.STARTED:
            columns["date_started"] = Now()
        self.TaskModel._default_manager.store_result(**columns)
        return result


class Telling(DatabaseBackend):
    """Adds to every meta that is read."""

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        return {**super()._get_task_meta_for(task_id), "told": True}


class Counting(DatabaseBackend):
    """Sees each header task before it is counted."""

    left: ClassVar[list[Any]] = []

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Note how many parts are counted so far."""
        from django_celery_results.models import ChordPart

        self.left.append(ChordPart.objects.count())
        super().on_chord_part_return(request, state, result, **kwargs)


class LabelManager(TaskResultManager["LabelledTask"]):
    """Stores and reads each result with a label in front."""

    def store_result(self, *args: Any, **kwargs: Any) -> LabelledTask:
        """Add the label."""
        return super().store_result(*args, **{**kwargs, "result": "L" + kwargs["result"]})

    def get_task(self, task_id: str) -> LabelledTask:
        """Remove the label."""
        row = super().get_task(task_id)
        row.result = row.result and row.result[1:]
        return row


class LabelGroupManager(GroupResultManager["LabelledGroup"]):
    """Does the same for groups."""

    def store_group_result(self, *args: Any, **kwargs: Any) -> LabelledGroup:
        """Add the label."""
        return super().store_group_result(*args, **{**kwargs, "result": "L" + kwargs["result"]})

    def get_group(self, group_id: str) -> LabelledGroup:
        """Remove the label."""
        row = super().get_group(group_id)
        row.result = row.result and row.result[1:]
        return row


class LabelledTask(TaskResult):
    """Task results under the site's own manager."""

    objects: ClassVar = LabelManager()

    class Meta:
        proxy = True
        app_label = "subclasses"


class LabelledGroup(GroupResult):
    """Group results under the site's own manager."""

    objects: ClassVar = LabelGroupManager()

    class Meta:
        proxy = True
        app_label = "subclasses"


class Labelled(DatabaseBackend):
    """Stores through the site's own managers."""

    TaskModel = LabelledTask
    GroupModel = LabelledGroup


class KeepingManager(TaskResultManager["KeptTask"]):
    """Chooses by itself what expires, which is refused."""

    def delete_expired(self, *_: Any, **__: Any) -> int:
        """Delete nothing."""
        return 0


class KeptTask(TaskResult):
    """Task results whose manager chooses what expires."""

    objects: ClassVar = KeepingManager()

    class Meta:
        proxy = True
        app_label = "subclasses"


class Managed(DatabaseBackend):
    """Has a manager with a method that expiry does not call."""

    TaskModel = KeptTask


class Unmanaged(DatabaseBackend):
    """Has a model that is no task result at all."""

    @property
    def names(self) -> Sequence[str]:
        """Any property, which changes nothing."""
        return ()

    GroupModel = TaskResult


class Setting(CacheBackend):
    """Encrypts what it puts into the cache."""

    def set(self, key: Any, value: Any) -> None:
        """Encrypt, then store."""
        super().set(key, str(value)[::-1])
