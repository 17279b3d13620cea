"""Deleting what is due from the first page of a PostgreSQL table to its last.

An index is the way to a few rows. Where a good part of a table is due, as where results
are kept for no longer than from one clean-up to the next, its pages in their order are the
shorter way, and PostgreSQL's planner knows when.
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

#: Milliseconds to wait for a row that somebody has locked, before such rows are left out.
PATIENCE = 20
#: SQLSTATE of a lock that was waited for in vain: lock_not_available.
LOCKED = "55P03"
#: Rows that are expected in a page at the outset: more than there are, as a rule.
DENSE = 20


def is_worth_sweeping(due_rows: _Rows[Any]) -> bool:
    """Return whether the planner would read the whole table to find ``due_rows``.

    ``False`` too where rows would have to be looked at before they go, for signals or
    foreign keys, and within a transaction, which could not be undone for a row that is locked.
    """
    connection = connections[due_rows.db]
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return False
    if not can_delete_unread(due_rows):
        return False
    plan = json.loads(due_rows.order_by().values("pk").explain(format="json"))[0]["Plan"]
    if plan["Node Type"] == "Gather":
        plan = plan["Plans"][0]
    # The table itself, that is, and no partition of it.
    whole = ("Seq Scan", due_rows.model._meta.db_table)
    return (plan["Node Type"], plan.get("Relation Name")) == whole


class Sweep(Generic[_M]):
    """One way over the table, some pages at a time."""

    def __init__(self, due_rows: _Rows[_M], size: int) -> None:
        """Take the rows that are to go, and about how many of them go at once."""
        self.due_rows = due_rows
        self.size = size
        self.page = 0
        self.pages = max(1, size // DENSE)
        #: What is written behind it from now on is not due.
        self.end = _page_count(due_rows)

    @property
    def is_over(self) -> bool:
        """Whether the last page has been reached."""
        return self.page >= self.end

    def delete_next(self) -> int:
        """Delete what is due in the next pages, in one transaction; return how many rows went."""
        behind = self.page + self.pages
        here = self.due_rows.filter(_in_pages(self.page, behind))
        deleted = _delete(here)
        self.page = behind
        # So that the next batch is of the right size if its pages are like these.
        factor = min(2, self.size / deleted) if deleted else 2
        self.pages = max(1, min(int(self.pages * factor), self.size // 2))
        return deleted


def _delete(here: _Rows[Any]) -> int:
    """Delete the rows; if somebody has locked one of them, leave out what is locked."""
    try:
        with transaction.atomic(using=here.db):
            with connections[here.db].cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE}")
            return int(here.delete()[0])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != LOCKED:
            raise
    # To lock each row before takes half as long again, so it is not done where nobody is near.
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
    """Return the condition of rows in those pages: see "System Columns" in PostgreSQL's manual."""
    template = f"ctid >= '({first},0)' AND ctid < '({behind},0)'"
    return Func(template=template, output_field=BooleanField())
