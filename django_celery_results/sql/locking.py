"""Locking the rows of a batch, past those that somebody else has locked."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

from django.db import connections, models
from django.db.models import BooleanField, Case, F, Func, Q, Subquery, Value, When
from django.db.models.expressions import RawSQL

__all__ = ["is_in", "lock_keys", "locking", "locks_by_key"]

_M = TypeVar("_M", bound=models.Model)
_Rows: TypeAlias = models.QuerySet[_M]
_Page: TypeAlias = models.QuerySet[_M, tuple[Any, ...]]


def locks_by_key(alias: str) -> bool:
    """Return whether a page has to be read first, and then locked row by row.

    InnoDB also locks the entries of the index through which it finds a row. When two
    cleaners do that, each is soon waiting for the other: to delete a row takes a lock
    on its entries in every index. Found by its primary key, only the row is locked.
    Deadlocks are rare then, though not gone: a DELETE by key of a small table may be
    planned as a scan of it, which waits for rows that are none of its own.
    """
    connection = connections[alias]
    features = connection.features
    at_once = features.has_select_for_update_skip_locked and (
        features.supports_select_for_update_with_limit
    )
    return features.has_select_for_update and (connection.vendor == "mysql" or not at_once)


def lock_keys(rows: _Rows[_M], due: Q, keys: list[Any]) -> list[Any]:
    """Lock the rows of ``keys`` that nobody else holds; return those that are still due."""
    if not keys:
        return []
    skips = connections[rows.db].features.has_select_for_update_skip_locked
    locked = rows.filter(pk__in=keys).order_by("pk").select_for_update(skip_locked=skips)
    # Not a condition of the query, which could send it through another index.
    is_due = Case(When(due, then=Value(True)), default=Value(False))
    still_due = {pk for pk, yes in locked.values_list("pk", is_due) if yes}
    return [key for key in keys if key in still_due]


def locking(page: _Page[_M]) -> _Page[_M]:
    """Return the page as a query that locks its rows and leaves out what others have locked."""
    if connections[page.db].features.has_select_for_update:
        locked: _Page[_M] = page.select_for_update(skip_locked=True)
        return locked
    # SQLite has one lock for the whole file, taken at the first statement that could
    # write. This one writes nothing: no row is without a date.
    rows = page.model._base_manager.using(page.db).filter(date_done=None)
    rows.update(date_done=F("date_done"))
    return page


def is_in(batch: _Page[Any]) -> Q | Func:
    """Return the condition of the rows of ``batch``, whose query is run within the DELETE.

    PostgreSQL takes a row by its place in the table (``ctid``) twice as fast as by its key.
    A row that was written again since has another place, and stays. Two partitions of a
    table may have rows at the same place, so this is no condition to delete by alone.
    """
    if connections[batch.db].vendor != "postgresql" or batch.model._meta.parents:
        # The query of a child is of two tables, each with places of its own.
        return Q(pk__in=batch.values("pk"))
    places = Subquery(batch.values(place=RawSQL("ctid", ())))
    return Func(places, template="ctid = ANY(ARRAY%(expressions)s)", output_field=BooleanField())
