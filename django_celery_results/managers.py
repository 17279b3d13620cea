"""Model managers: how rows are written, found and expired."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial, reduce, wraps
from operator import or_
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from celery import states
from django.db import IntegrityError, connections, models, router, transaction
from django.db.models import Case, F, Q, When

from . import former_names
from .conf import results_settings
from .records import once
from .sql.clock import DatabaseNow
from .sql.deletion import BatchDeletion, Due
from .sql.saving import has_listeners, is_there, save_row
from .sql.upserts import Upsert, WriteRule, find_upsert
from .utils import as_timedelta, moment_ago, now, text_id

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = [
    "GroupResultManager",
    "ResultManager",
    "TaskResultManager",
    "TxIsolationWarning",
    "transaction_retry",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_M = TypeVar("_M", bound=models.Model)

W_ISOLATION_REP = (
    "A result is being polled inside a transaction at isolation level REPEATABLE READ: "
    "a row that another process commits meanwhile stays invisible until this "
    "transaction ends. Poll outside a transaction, or commit before each read."
)

#: Columns that keep their value when a later write does not set them. This is the rule of
#: ``StoredTask.with_known``, plus the date of the start.
KEPT_WHEN_ABSENT = frozenset({"date_started", "periodic_task_name", "task_name", "worker"})
#: Columns that keep their value only if the later write has the same content type and encoding.
#: Under another encoding the existing values could not be decoded.
KEPT_IN_FORM = frozenset({"task_args", "task_kwargs"})
FORM = ("content_type", "content_encoding")
#: How a task's row is overwritten: SUCCESS is final, as in Celery's own key-value backends.
WRITE = WriteRule(
    key="task_id",
    kept=KEPT_WHEN_ABSENT,
    kept_in_form=KEPT_IN_FORM,
    form=FORM,
    final=("status", states.SUCCESS),
)
#: How an empty PENDING is written: it tells nothing new, so it never overwrites a row.
FIRST_WRITE = WriteRule(key="task_id", insert_only=True)
#: Encoded results that are no value: none at all, and ``None`` as JSON and YAML.
NO_VALUE = frozenset({None, "", "null", "null\n...\n"})
#: How a group's row is overwritten: the last save wins.
WRITE_GROUP = WriteRule(key="group_id")
#: States in which the task is not under way, so that its row may expire by age alone.
EXPIRABLE_STATES = frozenset(states.READY_STATES | {states.PENDING})


class TxIsolationWarning(UserWarning):
    """Warns of polling at an isolation level that hides other processes' commits."""


def transaction_retry(max_retries: int = 1) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorate a function so that it is called again when it raises.

    The function is tried ``max_retries`` more times; a call may pass another number with
    the keyword ``exception_retry_count``. The last error is raised. It is kept for code
    that imported it from 2.6; the managers here do not retry, because their statements
    are safe under races.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def retrying(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            limit = cast("int", kwargs.pop("exception_retry_count", max_retries))
            failures = 0
            while True:
                try:
                    return function(*args, **kwargs)
                except Exception:
                    failures += 1
                    if failures > limit:
                        raise

        return retrying

    return decorate


class ResultManager(models.Manager[_M]):
    """Base class of the managers of task and group results: routing, writing and expiry."""

    def write_alias(self, using: str | None = None) -> str:
        """Return the alias to write to: ``using``, the manager's own, or the routers' choice."""
        return using or self._db or router.db_for_write(self.model)

    def due(self, expires: float | timedelta | None) -> Iterator[Due]:
        """Yield each condition under which a row expires; no row meets two of them.

        ``expires`` is the maximum age of results, in seconds or as a timedelta; with
        ``None``, no row expires by its age alone.
        """
        if expires is not None:
            condition = Q(date_done__lt=moment_ago(expires))
            yield Due(condition=condition, order=("date_done", "pk"))

    def get_all_expired(self, expires: float | timedelta) -> models.QuerySet[_M]:
        """Return the rows that :meth:`delete_expired` would delete."""
        return self.filter(reduce(or_, (due.condition for due in self.due(expires))))

    def delete_expired(
        self, expires: float | timedelta | None, batch_size: int | None = None
    ) -> int:
        """Delete the expired rows, ``batch_size`` per transaction; return their number."""
        deletion: BatchDeletion[_M] = BatchDeletion(
            size=batch_size or results_settings.expire_batch_size,
            pause=results_settings.expire_batch_pause,
            repeat=once,
        )
        return sum(self.delete_due(deletion, *self.due(expires)))

    def delete_due(self, deletion: BatchDeletion[_M], *ways: Due) -> Iterator[int]:
        """Delete the rows that are due with ``deletion``; yield how many each batch deleted."""
        rows = self.using(self.write_alias())
        for due in ways:
            yield from deletion.run(rows, due)

    def connection_for_write(self) -> BaseDatabaseWrapper:
        """Return the connection that the routers choose for writes."""
        return connections[self.write_alias()]

    def connection_for_read(self) -> BaseDatabaseWrapper:
        """Return the connection that the routers choose for reads."""
        return connections[self.db]

    def current_engine(self) -> str:
        """Return the dotted path of the database engine that reads go to."""
        return str(self.connection_for_read().settings_dict["ENGINE"])

    def warn_if_repeatable_read(self) -> None:
        """Issue a :class:`TxIsolationWarning` if MySQL's isolation level hides new rows."""
        connection = self.connection_for_read()
        if connection.vendor != "mysql" or not connection.in_atomic_block:
            # Outside a transaction each read takes a new snapshot, which hides nothing.
            return
        with connection.cursor() as cursor:
            # MariaDB before 11.1 calls it tx_isolation, MySQL 8 transaction_isolation.
            cursor.execute("SHOW SESSION VARIABLES LIKE %s", ["%isolation"])
            levels = {level for _, level in cursor.fetchall()}
        if "REPEATABLE-READ" in levels:
            warnings.warn(TxIsolationWarning(W_ISOLATION_REP), stacklevel=3)

    def columns_in(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the items of ``values`` that are columns of the model."""
        names = {field.name for field in self.model._meta.concrete_fields}
        return {name: value for name, value in values.items() if name in names}

    def has_listeners(self) -> bool:
        """Return whether saving a row calls code of the site, such as a receiver of a signal."""
        return has_listeners(self.model)

    def find_upsert(self, alias: str, rule: WriteRule, row: Mapping[str, Any]) -> Upsert | None:
        """Return the single statement that writes ``row``, ``None`` if it takes several.

        It takes several if signals have receivers, which may change the row before it is saved.
        """
        if self.has_listeners():
            return None
        return find_upsert(connections[alias], self.model, rule, row)

    def insert(self, using: str, **fields: Any) -> _M:
        """Insert a row and return it; a savepoint protects a transaction of the caller's."""
        row = self.model(**fields)
        guard: AbstractContextManager[Any] = nullcontext()
        if connections[using].in_atomic_block:
            guard = transaction.atomic(using=using)
        with guard:
            row.save(using=using, force_insert=True)
        return row


class TaskResultManager(ResultManager[_M]):
    """Manager of :class:`~django_celery_results.models.TaskResult`."""

    _last_id: str | None = None

    def get_task(self, task_id: str) -> _M:
        """Return the row of ``task_id``, or a new one, not saved, if it does not exist."""
        task_id = text_id(task_id)
        row = self.filter(task_id=task_id).first()
        if row is not None:
            return row
        if self._last_id == task_id:
            self.warn_if_repeatable_read()
        self._last_id = task_id
        return self.model(task_id=task_id)

    def store_result(
        self,
        content_type: str,
        content_encoding: str,
        task_id: str,
        result: str | None,
        status: str,
        traceback: str | None = None,
        meta: str | None = None,
        periodic_task_name: str | None = None,
        task_name: str | None = None,
        task_args: str | None = None,
        task_kwargs: str | None = None,
        worker: str | None = None,
        using: str | None = None,
        **kwargs: Any,
    ) -> _M:
        """Create or update the row of ``task_id``, and return the row as it is now.

        ``result``, ``meta``, ``task_args`` and ``task_kwargs`` are encoded text, as
        ``content_type`` and ``content_encoding`` say. ``using`` is the alias of another
        connection, so that progress is visible while the caller's transaction is open.
        ``date_started`` and ``date_expires`` may be given too. A row in the state SUCCESS
        is left unchanged, and PENDING without a result never overwrites a row.
        """
        fields = {
            "content_type": content_type,
            "content_encoding": content_encoding,
            "result": result,
            "status": status,
            "traceback": traceback,
            "meta": meta,
            "periodic_task_name": periodic_task_name,
            "task_name": task_name,
            "task_args": task_args,
            "task_kwargs": task_kwargs,
            "worker": worker,
            # As in 2.6, the rest is ignored, such as a number of retries.
            **self.columns_in(kwargs),
        }
        alias, task_id = self.write_alias(using), text_id(task_id)
        self.write(task_id, fields, using=alias)
        return self.using(alias).get(task_id=task_id)

    def write(
        self,
        task_id: str,
        fields: Mapping[str, Any],
        using: str | None = None,
        only_if_absent: bool | None = None,
    ) -> bool:
        """Write ``fields`` to the row of ``task_id``; return whether they were written.

        SUCCESS is final. With ``only_if_absent``, any other row is left unchanged too; if it
        is ``None``, this holds for PENDING without a result. The statement itself contains
        the rule, so that two workers that write at once cannot break it.
        """
        alias = self.write_alias(using)
        if only_if_absent is None:
            is_pending = fields["status"] == states.PENDING
            only_if_absent = is_pending and fields.get("result") in NO_VALUE
        row = {"task_id": task_id, **fields}
        rule = FIRST_WRITE if only_if_absent else WRITE
        upsert = self.find_upsert(alias, rule, row)
        if upsert is not None:
            return upsert.execute(connections[alias], row)
        if self.has_listeners():
            return save_row(self.using(alias), rule, row, partial(self.insert, alias))
        return self._write_in_steps(task_id, fields, alias, not only_if_absent)

    def upsert_of(self, row: Mapping[str, Any], alias: str, only_if_absent: bool) -> Upsert | None:
        """Return the single statement for :meth:`write`, ``None`` if it takes several."""
        return self.find_upsert(alias, FIRST_WRITE if only_if_absent else WRITE, row)

    def _write_in_steps(
        self, task_id: str, fields: Mapping[str, Any], alias: str, may_update: bool
    ) -> bool:
        """Do what :meth:`write` does with statements of any database."""
        if may_update and self._update(task_id, fields, alias):
            return True
        try:
            self.insert(alias, task_id=task_id, **fields)
        except IntegrityError:
            # Another process inserted the row since the UPDATE, or its state is SUCCESS.
            if may_update and self._update(task_id, fields, alias):
                return True
            if not is_there(self.using(alias).filter(task_id=task_id)):
                raise  # Not a race for the id: the row itself was refused.
            return False
        return True

    def _update(self, task_id: str, fields: Mapping[str, Any], alias: str) -> bool:
        changes = {
            name: value
            for name, value in fields.items()
            if value is not None or name not in KEPT_WHEN_ABSENT
        }
        # First: MySQL assigns in order, and the condition has to read the row's own form.
        form = {name: fields[name] for name in FORM if name in fields}
        for name in sorted(KEPT_IN_FORM & changes.keys(), reverse=True):
            if (value := changes.pop(name)) is None:
                value = Case(When(**form, then=F(name))) if form else F(name)
            changes = {name: value, **changes}
        rows = self.using(alias).filter(task_id=task_id).exclude(status=states.SUCCESS)
        return bool(rows.update(date_done=DatabaseNow(), **changes))

    def due(self, expires: float | timedelta | None) -> Iterator[Due]:
        """Yield each condition under which a row expires; one index has both dates.

        A row that was stored with its own retention expires when that has passed. Any
        other row expires at the age ``expires`` (seconds or timedelta), but not before
        ``EXPIRE_UNFINISHED_AFTER`` if its task is under way.
        """
        own_date = Q(date_expires__lte=now())
        yield Due(condition=own_date, order=("date_expires", "date_done", "pk"))
        if expires is not None:
            by_age = self._kept_too_long(expires)
            yield Due(condition=by_age, order=("date_done", "pk"), null="date_expires")

    def _kept_too_long(self, expires: float | timedelta) -> Q:
        unfinished = timedelta(seconds=results_settings.expire_unfinished_after)
        limit = max(as_timedelta(expires), unfinished)
        by_age = Q(status__in=EXPIRABLE_STATES) | Q(date_done__lt=moment_ago(limit))
        return Q(date_expires=None, date_done__lt=moment_ago(expires)) & by_age


class GroupResultManager(ResultManager[_M]):
    """Manager of :class:`~django_celery_results.models.GroupResult`."""

    _last_id: str | None = None

    def get_group(self, group_id: str) -> _M:
        """Return the row of ``group_id``, or a new one, not saved, if it does not exist."""
        group_id = text_id(group_id)
        row = self.filter(group_id=group_id).first()
        if row is not None:
            return row
        if self._last_id == group_id:
            self.warn_if_repeatable_read()
        self._last_id = group_id
        return self.model(group_id=group_id)

    def store_group_result(
        self,
        content_type: str,
        content_encoding: str,
        group_id: str,
        result: str | None,
        using: str | None = None,
    ) -> _M:
        """Create or update the row of ``group_id``, and return the row as it is now.

        ``result`` is encoded text, as ``content_type`` and ``content_encoding`` say;
        ``using`` is the database alias to write to instead of the routers' choice.
        """
        alias, group_id = self.write_alias(using), text_id(group_id)
        contents = {
            "content_type": content_type,
            "content_encoding": content_encoding,
            "result": result,
        }
        self.write(group_id, contents, using=alias)
        return self.using(alias).get(group_id=group_id)

    def write(self, group_id: str, fields: Mapping[str, Any], using: str | None = None) -> None:
        """Create or update the row of ``group_id`` with ``fields``."""
        alias = self.write_alias(using)
        row = {"group_id": group_id, **fields}
        upsert = self.find_upsert(alias, WRITE_GROUP, row)
        if upsert is not None:
            upsert.execute(connections[alias], row)
        else:
            save_row(self.using(alias), WRITE_GROUP, row, partial(self.insert, alias))


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
