"""Everything that the package uses of Django's private names, each with a way to do without.

A name is private if Django's documentation lacks it: any release may change it. When one of
these names changes, the package becomes slower, and its results stay the same:

- :func:`compile_insert`, :func:`compile_update` and :func:`compile_select` use ``InsertQuery``,
  ``UpdateQuery``, ``Query.chain``, ``Query.get_compiler``, and the compiler's ``as_sql``,
  ``select`` and ``get_converters``. Their callers go through :func:`attempt`, and use the ORM
  if it returns ``None``.
- :func:`can_delete_unread` uses ``Collector.can_fast_delete``. Without it, the answer is no.
- :func:`rollback_on_error` uses ``mark_for_rollback_on_error``. Without it, the transaction is
  marked by ``transaction.set_rollback``, and Django does not tell later which error it was.
- :func:`connection_of` uses ``DatabaseErrorWrapper`` and :func:`is_end_of_transaction` uses
  ``BaseDatabaseWrapper.set_autocommit``, both to recognise a frame of a traceback. Without
  them, the usual connection is assumed, or the error is not retried.
- :func:`pool_of` uses ``DatabaseWrapper.pool``. Without it, only the connection that raised the
  error is replaced, and each other one when it fails.
- :func:`is_in_test_case` uses ``BaseDatabaseWrapper.atomic_blocks`` and ``Atomic._from_testcase``.
  Without them, the answer is no, and a row written beside a test's transaction survives the test.
- :func:`beside` makes a connection from the ``settings_dict`` of another, and assigns it to
  ``connections``. There is no other way; code that runs outside of transactions does not call it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import django
from django.db import Error, connections, models, transaction, utils
from django.db.backends.base.base import BaseDatabaseWrapper

from ..logs import described, frames_of

if TYPE_CHECKING:
    from types import CodeType

__all__ = [
    "Compiled",
    "attempt",
    "beside",
    "can_delete_unread",
    "compile_insert",
    "compile_select",
    "compile_update",
    "connection_of",
    "is_end_of_transaction",
    "is_in_test_case",
    "pool_of",
    "rollback_on_error",
]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: The purposes of :func:`attempt` whose failure has been logged.
_logged: set[str] = set()


def attempt(purpose: str, function: Callable[[], _T]) -> _T | None:
    """Return the answer of ``function``, which uses private names, or ``None`` if it fails.

    The failure is logged once for each ``purpose``, which completes "django-celery-results
    cannot". Errors of the database are raised.
    """
    try:
        return function()
    except Error:
        raise
    except Exception as error:  # noqa: BLE001 - a changed name can fail in any way
        if purpose not in _logged:
            _logged.add(purpose)
            logger.warning(
                "django-celery-results cannot %s with Django %s: %s. A slower way with the same "
                "outcome is used (logged once). Install a release that supports this Django",
                purpose,
                django.__version__,
                described(error),
            )
        return None


# -- Statements ----------------------------------------------------------------------


class Compiled(NamedTuple):
    """SQL as Django compiles it, and its parameters."""

    sql: str
    parameters: Sequence[Any]
    #: The place and the expression of each column whose values need Django's converters.
    converted: Sequence[tuple[int, Any]] = ()


def compile_insert(
    connection: BaseDatabaseWrapper, fields: Sequence[models.Field[Any, Any]], row: models.Model
) -> Compiled:
    """Compile the INSERT of ``row``, whose attributes of ``fields`` may be expressions."""
    from django.db.models.sql import InsertQuery

    query = InsertQuery(type(row))
    query.insert_values(fields, [row], raw=True)
    [(sql, parameters)] = query.get_compiler(connection=connection).as_sql()
    return Compiled(sql, parameters)


def compile_update(
    connection: BaseDatabaseWrapper, rows: models.QuerySet[Any], changes: Mapping[str, Any]
) -> Compiled:
    """Compile the UPDATE of ``rows``, a queryset."""
    from django.db.models.sql import UpdateQuery

    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(changes)
    return Compiled(*query.get_compiler(connection=connection).as_sql())


def compile_select(
    connection: BaseDatabaseWrapper, rows: models.QuerySet[Any, tuple[Any, ...]]
) -> Compiled:
    """Compile the SELECT of ``rows``, a queryset of tuples."""
    compiler = rows.query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    columns = [expression for expression, _, _ in compiler.select]
    converted = [(place, columns[place]) for place in compiler.get_converters(columns)]
    return Compiled(sql, parameters, converted)


def can_delete_unread(rows: models.QuerySet[Any]) -> bool:
    """Return whether ``rows.delete()`` is one DELETE: no signal or foreign key needs the rows."""

    def ask() -> bool:
        from django.db.models.deletion import Collector

        return Collector(using=rows.db, origin=rows).can_fast_delete(rows)

    return bool(attempt("tell whether rows can be deleted without reading them", ask))


# -- Transactions and connections ----------------------------------------------------


def rollback_on_error(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return a context in which an error marks the open transaction, if any, for rollback."""
    if not connection.in_atomic_block:
        return nullcontext()
    mark = getattr(transaction, "mark_for_rollback_on_error", _mark_for_rollback_on_error)
    context: AbstractContextManager[None] = mark(connection.alias)
    return context


@contextmanager
def _mark_for_rollback_on_error(alias: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        transaction.set_rollback(True, using=alias)
        raise


def connection_of(error: BaseException) -> BaseDatabaseWrapper | None:
    """Return the connection that raised ``error``, whichever its alias; ``None`` if unknown.

    Django turns a driver's error into its own in one method, whose frame is in the traceback
    and holds the connection.
    """
    wrapper = getattr(utils, "DatabaseErrorWrapper", None)
    code = _code(getattr(wrapper, "__exit__", None))
    for frame in frames_of(error):
        if frame.f_code is code:
            found = getattr(frame.f_locals.get("self"), "wrapper", None)
            return found if isinstance(found, BaseDatabaseWrapper) else None
    return None


def is_end_of_transaction(error: BaseException) -> bool:
    """Return whether the transaction was over, and Django failed to turn autocommit on again."""
    code = _code(getattr(BaseDatabaseWrapper, "set_autocommit", None))
    return any(frame.f_code is code for frame in frames_of(error))


def is_in_test_case(connection: BaseDatabaseWrapper) -> bool:
    """Return whether an open transaction is one that Django's ``TestCase`` rolls back."""
    blocks = getattr(connection, "atomic_blocks", ())
    return any(getattr(one, "_from_testcase", False) for one in blocks)


@contextmanager
def beside(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Let this thread use another connection as ``alias``, outside of any open transaction.

    It connects when it is first used, and is closed at the end.
    """
    usual = connections[alias]
    # A pool could be empty because of transactions that all wait for a second connection.
    options = {key: one for key, one in usual.settings_dict["OPTIONS"].items() if key != "pool"}
    settings = {**usual.settings_dict, "AUTOCOMMIT": True, "OPTIONS": options}
    own = type(usual)(settings, alias)
    connections[alias] = own
    try:
        yield own
    finally:
        connections[alias] = usual
        # SQLite's close() ignores a database in memory, which stays open on the usual connection.
        BaseDatabaseWrapper.close(own)


def _code(function: Any) -> CodeType | None:
    return getattr(function, "__code__", None)


def pool_of(connection: BaseDatabaseWrapper) -> Any:
    """Return the pool that the connection came from, psycopg's; ``None`` if it has none."""
    return getattr(connection, "pool", None)
