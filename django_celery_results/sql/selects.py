"""Reading rows by a key; the statement for a single row is compiled once per database."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .django_internals import attempt, compile_select

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Model, QuerySet

    _Rows = QuerySet[Model, tuple[Any, ...]]

__all__ = ["SelectByKey"]


class SelectByKey:
    """Selects rows of a queryset by the values in one column."""

    def __init__(self, rows: _Rows, key: str) -> None:
        """Take ``rows``, a queryset of tuples, and ``key``, the name of a field."""
        self.rows = rows
        self.key = key
        #: By alias and vendor; ``None`` if Django cannot compile the statement. It does not hold a
        #: connection, because every thread and greenlet has its own.
        self._of_one: dict[tuple[str, str], _SelectOne | None] = {}

    def fetch(
        self, connection: BaseDatabaseWrapper, values: Sequence[str]
    ) -> Iterable[Sequence[Any]]:
        """Return the rows whose key is one of ``values``, in as few queries as possible."""
        select = self._select_one(connection) if len(values) == 1 else None
        if select is None:
            return self._fetch_many(connection, values)
        return select.fetch(connection, values[0])

    def _select_one(self, connection: BaseDatabaseWrapper) -> _SelectOne | None:
        database = (connection.alias, connection.vendor)
        if database not in self._of_one:
            compiled = partial(_SelectOne, connection, self.rows, self.key)
            self._of_one[database] = attempt("compile the SELECT of a row", compiled)
        return self._of_one[database]

    def _fetch_many(
        self, connection: BaseDatabaseWrapper, values: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        rows = self.rows.using(connection.alias)
        size = _most_parameters(connection) or len(values) or 1
        for start in range(0, len(values), size):
            yield from rows.filter(**{f"{self.key}__in": values[start : start + size]})


def _most_parameters(connection: BaseDatabaseWrapper) -> int | None:
    """Return how many parameters a statement may have; ``None`` means any number."""
    if connection.vendor == "sqlite" and sys.version_info >= (3, 11):
        # Django 5.2 gives the limit of SQLite before 3.32.
        connection.ensure_connection()
        return connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
    return connection.features.max_query_params


class _SelectOne:
    """The statement for one value, kept because compiling takes longer than running it."""

    def __init__(self, connection: BaseDatabaseWrapper, rows: _Rows, key: str) -> None:
        compiled = compile_select(connection, rows.filter(**{key: "value"}))
        if list(compiled.parameters) != ["value"]:
            raise ValueError(f"its parameters are {compiled.parameters!r} instead of the key alone")
        self.sql, self.converted = compiled.sql, compiled.converted

    def fetch(self, connection: BaseDatabaseWrapper, value: str) -> Iterable[Sequence[Any]]:
        with connection.cursor() as cursor:
            cursor.execute(self.sql, [value])
            rows = [list(row) for row in cursor.fetchall()]
        for place, column in self.converted:
            converters = [
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            ]
            for row in rows:
                for convert in converters:
                    row[place] = convert(row[place], column, connection)
        return rows
