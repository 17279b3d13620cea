"""Deleting rows in batches, each in a short transaction of its own."""

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
#: The values of one row's fields of the order.
_Values: TypeAlias = tuple[Any, ...]
_Rows: TypeAlias = models.QuerySet[_M]
_Page: TypeAlias = models.QuerySet[_M, _Values]


@dataclass(frozen=True, kw_only=True)
class Due:
    """A way in which rows are due: one range of one index."""

    condition: Q
    #: The fields that the index has the rows in order of, and ``pk``.
    order: tuple[str, ...]
    #: The field in front of them in the index, where none of the rows has a value in it.
    null: str = ""

    def page(self, rows: models.QuerySet[_M]) -> _Page[_M]:
        """Return the order's values of those of ``rows`` that are due, in the index's order."""
        # PostgreSQL does not see that an order without the field that is null is that of
        # the index, and MariaDB does not see it of an order with it: they would sort.
        named = self.null and connections[rows.db].vendor == "postgresql"
        order = (self.null, *self.order) if named else self.order
        page: _Page[_M] = rows.filter(self.condition).order_by(*order).values_list(*self.order)
        return page


@dataclass(frozen=True, kw_only=True)
class BatchDeletion(Generic[_M]):
    """Deletes rows that are due, and lets others see each batch before and after it.

    Several cleaners at once share the work, and none stops a writer for long. A row
    that is written again, and is not due any more, stays.
    """

    #: Rows in a batch, at most.
    size: int
    #: Seconds to wait between two batches.
    pause: float = 0
    #: Given each batch within its transaction; when it returns false the batch is kept.
    before: Callable[[list[_M]], bool] | None = None
    #: Given what is gone of each batch, once that is durable; heard only beside ``before``.
    after: Callable[[list[_M]], None] | None = None
    #: Makes a batch, and makes it again if the database fails it in a way that passes.
    repeat: Callable[[Callable[[], Any]], Any]

    def run(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Delete those of ``rows`` that are ``due``; yield how many went with each batch.

        A batch that is kept is passed over, and so is a row that somebody else has locked.
        """
        if self.before is not None or locks_by_key(rows.db):
            batches = self._batches(rows, due)
        elif is_worth_sweeping(rows.filter(due.condition)):
            batches = self._swept_batches(rows.filter(due.condition))
        else:
            batches = self._unseen_batches(rows, due)
        yield from filter(None, batches)

    def _swept_batches(self, due_rows: _Rows[_M]) -> Iterator[int]:
        """Delete from the table's first page to its last; none of the rows is read."""
        sweep = Sweep(due_rows, self.size)
        while True:
            deleted = self.repeat(sweep.delete_next)
            yield deleted
            if sweep.is_over:
                return
            if deleted:
                time.sleep(self.pause)

    def _unseen_batches(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Delete in statements that find their rows by themselves; none of them is read."""
        page = due.page(rows)
        start, deleted = Q(), 0
        while (first := page.filter(start).first()) is not None:
            if deleted:
                time.sleep(self.pause)
            # Without it each statement would begin with the entries, still in the index,
            # of all that the ones before it have deleted.
            start = _from(due.order, first)
            delete = partial(self._delete_unseen, rows.filter(due.condition), page.filter(start))
            deleted = self.repeat(delete)
            yield deleted
            if not deleted:
                # All that are left are somebody else's.
                return

    def _delete_unseen(self, due_rows: _Rows[_M], page: _Page[_M]) -> int:
        with transaction.atomic(using=due_rows.db):
            batch = locking(page[: self.size])
            by_model: dict[str, int] = due_rows.filter(is_in(batch)).delete()[1]
        return by_model.get(due_rows.model._meta.label, 0)

    def _batches(self, rows: _Rows[_M], due: Due) -> Iterator[int]:
        """Delete by key what is read first."""
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
        """Delete one page; return what it found, and what of that went."""
        by_key = locks_by_key(rows.db)
        # A copy, which is read again if the page is deleted again.
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
                # One DELETE, unless somebody's signal or foreign key asks for more.
                rows.filter(pk__in=list(going)).delete()
        return found, list(going.values())

    def _announce(self, rows: _Rows[_M], due: Q, keys: list[Any]) -> dict[Any, Any]:
        """Return the rows that may go, by key; where nobody asks to see them, the keys alone."""
        if self.before is None or not keys:
            return dict.fromkeys(keys)
        batch = rows.in_bulk(keys)
        if not self.before([batch[key] for key in keys]):
            return {}
        # Whoever looked at them may have written to them, in this very transaction.
        still_due = set(rows.filter(due, pk__in=keys).values_list("pk", flat=True))
        return {key: batch[key] for key in keys if key in still_due}


def _keys(found: list[_Values]) -> list[Any]:
    return [values[-1] for values in found]


def _behind(order: Sequence[str], last: _Values) -> Q:
    """Return the condition of the rows that follow ``last`` in ``order``."""
    behind = Q()
    for name, value in reversed(list(zip(order, last, strict=True))):
        follows = Q(**{f"{name}__gt": value})
        behind = follows | (Q(**{name: value}) & behind) if behind else follows
    return _from(order, last) & behind


def _from(order: Sequence[str], first: _Values) -> Q:
    """Return a condition of ``first`` and what follows it that is looked up in an index."""
    return Q(**{f"{order[0]}__gte": first[0]})
