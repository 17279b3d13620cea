"""Managers that know what has expired, and delete it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TypeVar

from django.db import models, router
from django.db.models import Q

from .cleaning import Cleaner, Due
from .conf import results_settings
from .utils import now

__all__ = ["ExpiringManager", "as_timedelta", "moment_ago"]

_M = TypeVar("_M", bound=models.Model)


class ExpiringManager(models.Manager[_M]):
    """A manager whose rows expire with age, on the database that is written to."""

    def write_alias(self, using: str | None = None) -> str:
        """Return the database alias of writes: ``using``, or what the routers say."""
        return using or self._db or router.db_for_write(self.model)

    def due(self, expires: float | timedelta | None) -> Iterator[Due]:
        """Yield each way in which a row expires.

        ``expires`` is the age in seconds (or a timedelta) that results may reach;
        ``None`` means that age alone expires nothing. No row meets two of them.
        """
        if expires is not None:
            condition = Q(date_done__lt=moment_ago(expires))
            yield Due(condition=condition, order=("date_done", "pk"))

    def get_all_expired(self, expires: float | timedelta) -> models.QuerySet[_M]:
        """Return the rows that :meth:`delete_expired` would delete."""
        return self.filter(reduce(or_, (due.condition for due in self.due(expires))))

    def delete_expired(
        self, expires: float | timedelta | None, batch_size: int | None = None
    ) -> int:
        """Delete what expired, in transactions of ``batch_size`` rows; return how many."""
        cleaner: Cleaner[_M] = Cleaner(
            size=batch_size or results_settings.expire_batch_size,
            pause=results_settings.expire_batch_pause,
        )
        return sum(self.clean(cleaner, *self.due(expires)))

    def clean(self, cleaner: Cleaner[_M], *ways: Due) -> Iterator[int]:
        """Let ``cleaner`` delete the rows that are due; yield how many go with each batch."""
        rows = self.using(self.write_alias())
        for due in ways:
            yield from cleaner.clean(rows, due)


def as_timedelta(age: float | timedelta) -> timedelta:
    """Return ``age``, which is a timedelta or seconds, as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def moment_ago(age: float | timedelta) -> datetime:
    """Return the moment ``age`` (seconds or timedelta) ago."""
    return now() - as_timedelta(age)
