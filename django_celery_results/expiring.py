"""Managers that delete what has expired, in short batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from django.db import connections, models, router, transaction
from django.db.models import Q

from .conf import results_settings
from .utils import now

__all__ = ["ExpiringManager", "as_timedelta", "moment_ago"]

_M = TypeVar("_M", bound=models.Model)


class ExpiringManager(models.Manager[_M]):
    """A manager whose rows expire with age, on the database that is written to."""

    def write_alias(self, using: str | None = None) -> str:
        """Return the database alias of writes: ``using``, or what the routers say."""
        return using or self._db or router.db_for_write(self.model)

    def expired(self, expires: float | timedelta | None) -> Iterator[models.QuerySet[_M]]:
        """Yield a queryset, on the write database, for each way in which a row expires.

        ``expires`` is the age in seconds (or a timedelta) that results may reach;
        ``None`` or 0 means that age alone expires nothing.
        """
        if expires:
            yield self.using(self.write_alias()).filter(date_done__lt=moment_ago(expires))

    def get_all_expired(self, expires: float | timedelta) -> models.QuerySet[_M]:
        """Return the rows last written more than ``expires`` (seconds or timedelta) ago."""
        return self.filter(date_done__lt=moment_ago(expires))

    def delete_expired(
        self, expires: float | timedelta | None, batch_size: int | None = None
    ) -> int:
        """Delete what expired, in transactions of ``batch_size`` rows; return how many."""
        return sum(len(batch) for batch in self.expire_batches(expires, batch_size))

    def expire_batches(
        self,
        expires: float | timedelta | None,
        batch_size: int | None = None,
        before: Callable[[list[_M]], bool] | None = None,
    ) -> Iterator[list[_M]]:
        """Delete what expired batch by batch; yield each batch after its transaction.

        ``before`` is given each batch inside its transaction; when it returns false the
        batch is kept. Without it the yielded rows have no field but those of the order.
        """
        size = batch_size or results_settings.expire_batch_size
        for rows in self.expired(expires):
            yield from self._expire(rows, size, before)

    def _expire(
        self,
        expired: models.QuerySet[_M],
        size: int,
        before: Callable[[list[_M]], bool] | None,
    ) -> Iterator[list[_M]]:
        page = expired.order_by("date_done", "pk")
        if before is None:
            page = page.only("pk", "date_done")
        position = Q()
        while True:
            with self._batch_guard(expired.db) as lock:
                batch = list(lock(page.filter(position))[:size])
                deleted = batch if before is None or (batch and before(batch)) else []
                deleted = self._delete(expired, deleted)
            if deleted:
                yield deleted
            if not batch:
                return
            last = cast("Any", batch[-1])
            # Past the kept rows, so that one batch that stays cannot stop the rest.
            position = Q(date_done__gt=last.date_done) | Q(date_done=last.date_done, pk__gt=last.pk)

    def _delete(self, expired: models.QuerySet[_M], rows: list[_M]) -> list[_M]:
        """Delete those of ``rows`` that are still expired; return those that are gone.

        The condition stands again in the DELETE, because a row that was written since
        it was read has not expired.
        """
        if not rows:
            return []
        chosen = [row.pk for row in rows]
        _, by_model = expired.filter(pk__in=chosen).delete()
        if by_model.get(self.model._meta.label, 0) == len(rows):
            return rows
        left = set(self.using(expired.db).filter(pk__in=chosen).values_list("pk", flat=True))
        return [row for row in rows if row.pk not in left]

    def _batch_guard(
        self, alias: str
    ) -> AbstractContextManager[Callable[[models.QuerySet[_M]], models.QuerySet[_M]]]:
        """Open a batch's transaction; it gives how to lock the rows that are read in it.

        Where the database has SKIP LOCKED, two cleaners share the work. Elsewhere
        (SQLite) a transaction that starts with a read could not become a writer beside
        another one, and the DELETE's own condition is enough.
        """
        if not connections[alias].features.has_select_for_update_skip_locked:
            return nullcontext(lambda rows: rows)
        return _SkipLocked(alias)


class _SkipLocked:
    """A transaction in which read rows are locked, without waiting for others' locks."""

    def __init__(self, alias: str) -> None:
        self.atomic = transaction.atomic(using=alias)

    def __enter__(self) -> Callable[[models.QuerySet[_M]], models.QuerySet[_M]]:
        self.atomic.__enter__()
        return lambda rows: rows.select_for_update(skip_locked=True)

    def __exit__(self, *error: Any) -> None:  # noqa: PYI036 - what Atomic takes
        self.atomic.__exit__(*error)


def as_timedelta(age: float | timedelta) -> timedelta:
    """Return ``age``, which is a timedelta or seconds, as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def moment_ago(age: float | timedelta) -> datetime:
    """Return the moment ``age`` (seconds or timedelta) ago."""
    return now() - as_timedelta(age)
