"""Locking the rows of a batch, and skipping rows that others have locked."""

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

    InnoDB also locks the index entries through which it finds a row. Two cleaners that do
    this soon wait for each other, because deleting a row locks its entries in every index.
    If a row is found by its primary key, only the row is locked. Deadlocks are then rare,
    but still possible: a DELETE by key from a small table may be planned as a scan of the
    table, which waits for rows that it does not delete.
    """
    connection = connections[alias]
    features = connection.features
    at_once = features.has_select_for_update_skip_locked and (
        features.supports_select_for_update_with_limit
    )
    return features.has_select_for_update and (connection.vendor == "mysql" or not at_once)


def lock_keys(rows: _Rows[_M], due: Q, keys: list[Any]) -> list[Any]:
    """Lock the rows of ``keys`` that others have not locked; return those still due."""
    if not keys:
        return []
    skips = connections[rows.db].features.has_select_for_update_skip_locked
    locked = rows.filter(pk__in=keys).order_by("pk").select_for_update(skip_locked=skips)
    # Not a condition of the query, because the query could then use another index.
    is_due = Case(When(due, then=Value(True)), default=Value(False))
    still_due = {pk for pk, yes in locked.values_list("pk", is_due) if yes}
    return [key for key in keys if key in still_due]


def locking(page: _Page[_M]) -> _Page[_M]:
    """Return the page as a query that locks its rows and skips rows that others have locked."""
    if connections[page.db].features.has_select_for_update:
        locked: _Page[_M] = page.select_for_update(skip_locked=True)
        return locked
    # SQLite has one lock for the whole file, taken at the first statement that could
    # write. This one writes nothing, because every row has a date.
    rows = page.model._base_manager.using(page.db).filter(date_done=None)
    rows.update(date_done=F("date_done"))
    return page


def is_in(batch: _Page[Any]) -> Q | Func:
    """Return the condition that selects the rows of ``batch``, a subquery of the DELETE.

    PostgreSQL finds a row by its place in the table (``ctid``) twice as fast as by its key.
    A row that was written again since has another place, and stays. Two partitions of a
    table may have rows at the same place, so a DELETE needs a further condition.
    """
    if connections[batch.db].vendor != "postgresql" or batch.model._meta.parents:
        # The query of a child model joins two tables, each with its own places.
        return Q(pk__in=batch.values("pk"))
    places = Subquery(batch.values(place=RawSQL("ctid", ())))
    return Func(places, template="ctid = ANY(ARRAY%(expressions)s)", output_field=BooleanField())
