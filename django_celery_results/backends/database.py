"""``django-db``: the result backend over Django's ORM."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from importlib import import_module
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, ClassVar

from celery.exceptions import ChordError
from celery.result import allow_join_result
from django.apps import apps
from django.db import InterfaceError

from .. import former_names
from ..records import StoredGroup
from .base import ResultBackend
from .subclasses import overrides, remembered
from .translation import request_facts

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context
    from celery.canvas import Signature
    from celery.result import GroupResult
    from django.db import models

    from ..records import Contents, StoredTask, TaskRecord
    from .results import Results

__all__ = ["DatabaseBackend"]

logger = logging.getLogger(__name__)

_CODING = "override encode_content and decode_content, or write a coding and name it in CODINGS"
#: The facts that 2.6's ``_get_extended_properties`` returned, by column.
_FACTS = {"task_name": "name", "worker": "worker", "periodic_task_name": "periodic_task_name"}
_ARGUMENTS = {"task_args": "args", "task_kwargs": "kwargs"}


class _LazyModel:
    """A model as a class attribute, looked up on access, when Django's apps are loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> type[models.Model]:
        return apps.get_model("django_celery_results", self.name)


@remembered
class DatabaseBackend(ResultBackend):
    """Celery results in the database, one row per task.

    A subclass may set :attr:`TaskModel` and :attr:`GroupModel` to its own models, whose
    default managers must be those of this package, or derived from them.
    """

    storage_name = "django-db"
    #: Methods through which 2.6 encoded, and what to write instead of an override.
    refused: ClassVar[Mapping[str, str]] = {"_encode": _CODING, "decode": _CODING}
    TaskModel: Any = _LazyModel("TaskResult")
    GroupModel: Any = _LazyModel("GroupResult")
    subpolling_interval = 0.5

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the models of this class, and what finds the columns that a subclass adds."""
        models = {"task_model": self.TaskModel, "group_model": self.GroupModel}
        if not overrides(type(self), "_get_extended_properties"):
            return models
        return {**models, "more_columns": _columns_of}

    @classmethod
    def own_models(cls) -> Iterator[tuple[Any, Any, type]]:
        """Yield each model that a subclass sets, with the model and the manager to derive from."""
        from ..managers import GroupResultManager, TaskResultManager

        needed = {"TaskModel": TaskResultManager, "GroupModel": GroupResultManager}
        for name, manager in needed.items():
            inherited = vars(DatabaseBackend)[name]
            if getattr_static(cls, name) is not inherited:
                yield getattr(cls, name), inherited.__get__(None, cls), manager

    def row_for_decoding(self, contents: Contents, record: StoredTask | StoredGroup | None) -> Any:
        """Return a row that is not saved, as 2.6 gave ``decode_content`` the row itself."""
        row = self.GroupModel() if isinstance(record, StoredGroup) else self.TaskModel()
        row.content_type = contents.content_type
        row.content_encoding = contents.content_encoding
        for name in ("task_id", "group_id", "status", "worker", "periodic_task_name", "date_done"):
            if hasattr(record, name):
                setattr(row, name, getattr(record, name))
        return row

    # -- What 2.6's subclasses override ------------------------------------------------

    def _adapt(self, results: Results) -> None:
        super()._adapt(results)
        results.always_extended = overrides(type(self), "_get_extended_properties")

    def _record(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: str | None,
        request: Context | None,
    ) -> TaskRecord:
        task = super()._record(task_id, result, status, traceback, request)
        if self.results.always_extended:
            columns = dict(self._get_extended_properties(request, traceback))
            self._amend(task, columns)
            _more_columns.set((task.task_id, columns))
        return task

    def _get_extended_properties(
        self, request: Context | None, traceback: str | None
    ) -> dict[str, Any]:
        """Return columns of the task's row that describe the call; a subclass may override it."""
        columns: dict[str, Any] = dict.fromkeys([*_FACTS, *_ARGUMENTS, "traceback"])
        if request is None or not self.app.conf.result_extended:
            return columns
        facts = request_facts(request)
        columns |= {column: facts[name] for column, name in _FACTS.items()}
        columns["traceback"] = traceback
        for column, value in zip(_ARGUMENTS, self.request_arguments(request), strict=True):
            columns[column] = None if value is None else self.encode_content(value)[2]
        return columns

    def _amend(self, task: TaskRecord, columns: dict[str, Any]) -> None:
        """Move what a record can hold from ``columns`` to ``task``, so that plugins see it."""
        for column, name in _FACTS.items():
            setattr(task, name, columns.pop(column, None))
        for column, name in _ARGUMENTS.items():
            setattr(task, name, self._take(columns, column))
        task.traceback = columns.pop("traceback", None) or task.traceback
        if not self.app.conf.result_extended:
            task.retries = task.queue = task.stamps = None

    def _take(self, columns: dict[str, Any], column: str) -> Any:
        """Remove an encoded value and return it decoded; leave one that cannot be decoded."""
        content = columns.pop(column, None)
        if content is None:
            return None
        content_type, encoding, _ = self.encode_content(None)
        row = self.TaskModel(content_type=content_type, content_encoding=encoding)
        try:
            return self.decode_content(row, content)
        except Exception:  # noqa: BLE001 - a text that is not encoded, as in releases before 2.0
            columns[column] = content
            return None


_more_columns: ContextVar[tuple[str, Mapping[str, Any]]] = ContextVar("more_columns")


def _columns_of(task_id: str) -> Mapping[str, Any]:
    """Return the further columns that the subclass returned for the task that is being stored."""
    stored_id, columns = _more_columns.get(("", {}))
    return columns if stored_id == task_id else {}


def _exceptions_to_catch() -> tuple[type[Exception], ...]:
    """Return the errors of a lost connection that 2.6 retried; this release goes by codes."""
    try:
        return (InterfaceError, import_module("psycopg2").InterfaceError)
    except ImportError:
        return (InterfaceError,)


def trigger_callback(app: Celery, callback: Signature[Any], group_result: GroupResult) -> None:
    """Send ``callback`` with the results of the group, or store the error that prevents it.

    Kept for code that imported it from 2.6; the chords of this release do not call it.
    """
    native = group_result.supports_native_join
    join = group_result.join_native if native else group_result.join
    try:
        with allow_join_result():
            values = join(timeout=app.conf.result_chord_join_timeout, propagate=True)
        callback.delay(values)
    except Exception as error:
        logger.exception("The body of chord %s was not sent", group_result.id)
        failure = ChordError(f"The body of chord {group_result.id} was not sent: {error!r}")
        app.backend.chord_error_from_stack(callback, failure)


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__, {"EXCEPTIONS_TO_CATCH": _exceptions_to_catch})
