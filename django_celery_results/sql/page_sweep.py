"""Deleting due rows from the first page of a PostgreSQL table to its last.

An index is the fast way to a few rows. If a large part of a table is due, for example because
results are kept only until the next cleanup, going through its pages in order is faster.
PostgreSQL's planner knows when.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import OperationalError, connections, models, transaction
from django.db.models import BooleanField, Func

from .django_internals import can_delete_unread
from .locking import is_in, locking

__all__ = ["Sweep", "is_worth_sweeping"]

_M = TypeVar("_M", bound=models.Model)
_Rows: TypeAlias = models.QuerySet[_M]

#: Milliseconds to wait for a locked row; after that, locked rows are skipped.
PATIENCE = 20
#: SQLSTATE when the wait for a lock timed out: lock_not_available.
LOCKED = "55P03"
#: Rows per page to expect at first: usually more than there are.
DENSE = 20


def is_worth_sweeping(due_rows: _Rows[Any]) -> bool:
    """Return whether the planner would read the whole table to find ``due_rows``.

    Return ``False`` also if signals or foreign keys need the rows before they are deleted, and
    within a transaction, which cannot go on after the wait for a locked row has timed out.
    """
    connection = connections[due_rows.db]
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return False
    if not can_delete_unread(due_rows):
        return False
    plan = json.loads(due_rows.order_by().values("pk").explain(format="json"))[0]["Plan"]
    if plan["Node Type"] == "Gather":
        plan = plan["Plans"][0]
    # The plan must read the table itself, not a partition of it.
    whole = ("Seq Scan", due_rows.model._meta.db_table)
    return (plan["Node Type"], plan.get("Relation Name")) == whole


class Sweep(Generic[_M]):
    """One pass over the table, some pages at a time."""

    def __init__(self, due_rows: _Rows[_M], size: int) -> None:
        """Take the rows to delete, and about how many of them to delete in a batch."""
        self.due_rows = due_rows
        self.size = size
        self.page = 0
        self.pages = max(1, size // DENSE)
        #: The page after the last one; rows written there from now on are not due.
        self.end = _page_count(due_rows)

    @property
    def is_over(self) -> bool:
        """Whether the last page has been reached."""
        return self.page >= self.end

    def delete_next(self) -> int:
        """Delete the due rows of the next pages, in one transaction; return their number."""
        behind = self.page + self.pages
        here = self.due_rows.filter(_in_pages(self.page, behind))
        deleted = _delete(here)
        self.page = behind
        # Makes the next batch the right size if its pages are like these.
        factor = min(2, self.size / deleted) if deleted else 2
        self.pages = max(1, min(int(self.pages * factor), self.size // 2))
        return deleted


def _delete(here: _Rows[Any]) -> int:
    """Delete the rows; if others have locked any of them, skip the locked rows."""
    try:
        with transaction.atomic(using=here.db):
            with connections[here.db].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE}")
            return int(here.delete()[0])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCKED:
            raise
    # Locking each row first takes half as long again, so it is done only if a row is locked.
    with transaction.atomic(using=here.db):
        return int(here.filter(is_in(locking(here.values_list("pk")))).delete()[0])


def _page_count(rows: _Rows[Any]) -> int:
    connection = connections[rows.db]
    table = connection.ops.quote_name(rows.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_relation_size(%s) / current_setting('block_size')::integer", [table]
        )
        return int(cursor.fetchone()[0])


def _in_pages(first: int, behind: int) -> Func:
    """Return the condition for rows in these pages: see "System Columns" in PostgreSQL's manual."""
    template = f"ctid >= '({first},0)' AND ctid < '({behind},0)'"
    return Func(template=template, output_field=BooleanField())
