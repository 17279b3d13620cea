"""Deleting rows in batches, with a short transaction for each batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import connections, models, transaction
from django.db.models import Q

from .locking import is_in, lock_keys, locking, locks_by_key
from .page_sweep import Sweep, is_worth_sweeping

__all__ = ["BatchDeletion", "Due"]

_M = TypeVar("_M", bound=models.Model)
#: The values of one row, in the fields of the order.
_Values: TypeAlias = tuple[Any, ...]
_Rows: TypeAlias = models.QuerySet[_M]
_Page: TypeAlias = models.QuerySet[_M, _Values]


@dataclass(frozen=True, kw_only=True)
class Due:
    """A condition under which rows are due: one range of one index."""

    condition: Q
    #: The fields by which the index orders the rows, and ``pk``.
    order: tuple[str, ...]
    #: The field before them in the index, if it is NULL in all the rows.
    null: str = ""

    def page(self, rows: models.QuerySet[_M]) -> _Page[_M]:
        """Return the due rows among ``rows``, each as its values of ``order``, in that order."""
        # To read in the index's order instead of sorting, PostgreSQL needs the field that is
        # NULL in the ORDER BY, and MariaDB needs it left out.
        named = self.null and connections[rows.db].vendor == "postgresql"
        order = (self.null, *self.order) if named else self.order
        page: _Page[_M] = rows.filter(self.condition).order_by(*order).values_list(*self.order)
        return page


@dataclass(frozen=True, kw_only=True)
class BatchDeletion(Generic[_M]):
    """Deletes rows that are due, and shows each batch to others before and after.

    Several cleaners at once share the work, and none blocks a writer for long. A row
    stays if it is written again and then is not due.
    """

    #: The most rows in a batch.
    size: int
    #: Seconds to wait between two batches.
    pause: float = 0
    #: Called with each batch within its transaction; if it returns false, the batch is kept.
    before: Callable[[list[_M]], bool] | None = None
    #: Called with the deleted rows of each batch after the commit, only if ``before`` is set.
    after: Callable[[list[_M]], None] | None = None
    #: Calls the function of a batch, and calls it again after a temporary database error.
    repeat: Callable[[Callable[[], Any]], Any]

    def run(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Delete the rows among ``rows`` that are ``due``; yield how many each batch deleted.

        Batches that ``before`` keeps are skipped, and so are rows that others have locked.
        """
        if self.before is not None or locks_by_key(rows.db):
            batches = self._batches(rows, due)
        elif is_worth_sweeping(rows.filter(due.condition)):
            batches = self._swept_batches(rows.filter(due.condition))
        else:
            batches = self._unseen_batches(rows, due)
        yield from filter(None, batches)

    def _swept_batches(self, due_rows: _Rows[_M]) -> Iterator[int]:
        """Delete from the table's first page to its last, without reading the rows."""
        sweep = Sweep(due_rows, self.size)
        while True:
            deleted = self.repeat(sweep.delete_next)
            yield deleted
            if sweep.is_over:
                return
            if deleted:
                time.sleep(self.pause)

    def _unseen_batches(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Delete with statements that find their rows themselves, without reading the rows."""
        page = due.page(rows)
        start, deleted = Q(), 0
        while (first := page.filter(start).first()) is not None:
            if deleted:
                time.sleep(self.pause)
            # Without a start, each statement would scan the index entries of the rows that
            # earlier statements deleted, because the entries are still there.
            start = _from(due.order, first)
            delete = partial(self._delete_unseen, rows.filter(due.condition), page.filter(start))
            deleted = self.repeat(delete)
            yield deleted
            if not deleted:
                # Others have locked all the rows that are left.
                return

    def _delete_unseen(self, due_rows: _Rows[_M], page: _Page[_M]) -> int:
        with transaction.atomic(using=due_rows.db):
            batch = locking(page[: self.size])
            by_model: dict[str, int] = due_rows.filter(is_in(batch)).delete()[1]
        return by_model.get(due_rows.model._meta.label, 0)

    def _batches(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Read each page, then delete its rows by key."""
        size = min(self.size, connections[rows.db].features.max_query_params or self.size)
        page = due.page(rows)
        position = Q()
        while True:
            next_page = page.filter(position)[:size]
            found, gone = self.repeat(partial(self._delete_page, rows, due.condition, next_page))
            if gone and self.after is not None:
                self.after(gone)
            yield len(gone)
            if len(found) < size:
                return
            position = _behind(due.order, found[-1])
            time.sleep(self.pause)

    def _delete_page(
        self, rows: _Rows[_M], due: Q, page: _Page[_M]
    ) -> tuple[list[_Values], list[Any]]:
        """Delete one page; return the rows that it found, and the rows that it deleted."""
        by_key = locks_by_key(rows.db)
        # A copy, so that a retry reads the page again.
        page = page.all()
        found = list(page) if by_key else []
        with transaction.atomic(using=rows.db):
            if by_key:
                keys = lock_keys(rows, due, _keys(found))
            else:
                found = list(locking(page))
                keys = _keys(found)
            going = self._announce(rows, due, keys)
            if going:
                # One DELETE, unless signals or foreign keys need more.
                rows.filter(pk__in=list(going)).delete()
        return found, list(going.values())

    def _announce(self, rows: _Rows[_M], due: Q, keys: list[Any]) -> dict[Any, Any]:
        """Return the rows that may be deleted, by key; without ``before``, only the keys."""
        if self.before is None or not keys:
            return dict.fromkeys(keys)
        batch = rows.in_bulk(keys)
        if not self.before([batch[key] for key in keys]):
            return {}
        # ``before`` may have written to the rows in this transaction.
        still_due = set(rows.filter(due, pk__in=keys).values_list("pk", flat=True))
        return {key: batch[key] for key in keys if key in still_due}


def _keys(found: list[_Values]) -> list[Any]:
    return [values[-1] for values in found]


def _behind(order: Sequence[str], last: _Values) -> Q:
    """Return the condition that selects the rows after ``last`` in ``order``."""
    behind = Q()
    for name, value in reversed(list(zip(order, last, strict=True))):
        follows = Q(**{f"{name}__gt": value})
        behind = follows | (Q(**{name: value}) & behind) if behind else follows
    return _from(order, last) & behind


def _from(order: Sequence[str], first: _Values) -> Q:
    """Return a condition that ``first`` and all rows after it meet, and that an index serves."""
    return Q(**{f"{order[0]}__gte": first[0]})
