"""``django-db``: the result backend over Django's ORM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.apps import apps

from .base import ResultBackend

if TYPE_CHECKING:
    from django.db import models

__all__ = ["DatabaseBackend"]


class _LazyModel:
    """A model as a class attribute, looked up on access, when Django's apps are loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> type[models.Model]:
        return apps.get_model("django_celery_results", self.name)


class DatabaseBackend(ResultBackend):
    """Celery results in the database, one row per task.

    A subclass may set :attr:`TaskModel` and :attr:`GroupModel` to its own models, whose
    default managers must be those of this package.
    """

    storage_name = "django-db"
    TaskModel: Any = _LazyModel("TaskResult")
    GroupModel: Any = _LazyModel("GroupResult")
    subpolling_interval = 0.5

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the models of this class."""
        return {"task_model": self.TaskModel, "group_model": self.GroupModel}
