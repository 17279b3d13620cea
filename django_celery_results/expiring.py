"""Managers that delete what has expired, in short batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeVar

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
        ``None`` means that age alone expires nothing.
        """
        if expires is not None:
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
        page = expired.order_by("date_done", "pk").values_list("date_done", "pk")
        position = Q()
        while keys := list(page.filter(position)[:size]):
            if deleted := self._expire_page(expired, [pk for _, pk in keys], before):
                yield deleted
            date_done, pk = keys[-1]
            # Past the kept rows, so that one batch that stays cannot stop the rest.
            position = Q(date_done__gt=date_done) | Q(date_done=date_done, pk__gt=pk)

    def _expire_page(
        self,
        expired: models.QuerySet[_M],
        keys: list[Any],
        before: Callable[[list[_M]], bool] | None,
    ) -> list[_M]:
        """Delete one page, but for what others hold or ``before`` keeps; return what went."""
        alias = expired.db
        # Where the database has SKIP LOCKED, two cleaners share the work. Elsewhere
        # (SQLite) a transaction that starts with a read could not become a writer beside
        # another one, and the DELETE's own condition is enough.
        shared = connections[alias].features.has_select_for_update_skip_locked
        with transaction.atomic(using=alias) if shared else nullcontext():
            if shared:
                keys = self._lock(alias, keys)
            batch = expired.filter(pk__in=keys).order_by("date_done", "pk")
            rows = list(batch.only("pk", "date_done") if before is None else batch)
            if not rows or (before is not None and not before(rows)):
                return []
            if not shared:
                return self._delete_unlocked(expired, rows)
            if before is not None:
                rows = _those_in(expired, rows)
            self.using(alias).filter(pk__in=[row.pk for row in rows]).delete()
        return rows

    def _lock(self, alias: str, keys: list[Any]) -> list[Any]:
        """Lock the rows of ``keys`` that nobody else holds; return their keys.

        By the primary key alone: on its way through another index MariaDB would lock
        other cleaners' rows too, and run into deadlocks.
        """
        rows = self.using(alias).filter(pk__in=keys).order_by()
        return list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))

    def _delete_unlocked(self, expired: models.QuerySet[_M], rows: list[_M]) -> list[_M]:
        """Delete those of ``rows`` that are still expired; return those that are gone."""
        chosen = self.using(expired.db).filter(pk__in=[row.pk for row in rows])
        _, by_model = (expired & chosen).delete()
        deleted = by_model.get(self.model._meta.label, 0)
        if deleted in (0, len(rows)):
            return rows if deleted else []
        left = {row.pk for row in _those_in(chosen, rows)}
        return [row for row in rows if row.pk not in left]


def _those_in(queryset: models.QuerySet[_M], rows: list[_M]) -> list[_M]:
    """Return those of ``rows`` that ``queryset`` finds now."""
    keys = queryset.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True)
    found = set(keys)
    return [row for row in rows if row.pk in found]


def as_timedelta(age: float | timedelta) -> timedelta:
    """Return ``age``, which is a timedelta or seconds, as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def moment_ago(age: float | timedelta) -> datetime:
    """Return the moment ``age`` (seconds or timedelta) ago."""
    return now() - as_timedelta(age)
