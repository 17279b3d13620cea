"""Expiring results, and telling the plugins before and after."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..conf import results_settings
from ..records import Expiry, ExpiryBatch, StoredGroup

if TYPE_CHECKING:
    from ..records import StoredTask
    from .chords import Chords
    from .results import Results

__all__ = ["Expirer"]

logger = logging.getLogger(__name__)

#: The most results that plugins are shown at a time, because all of them are in memory.
OBSERVED_BATCH_SIZE = 1000


class Expirer:
    """Celery's cleanup, which calls the expiry hooks."""

    def __init__(self, results: Results, chords: Chords) -> None:
        self.results = results
        self.chords = chords

    def run(self, expires: float | None) -> None:
        """Finish chords whose worker died, and delete the results that have expired.

        ``expires`` is the maximum age of results in seconds; ``None`` means no maximum.
        """
        try:
            # First, while the results of the headers are still stored.
            self.chords.finish_all()
        finally:
            self.results.call("expire_results", expiry=self.expiry(expires))

    def expiry(self, expires: float | None, batch_size: int | None = None) -> Expiry:
        """Return what a storage needs to expire results and to tell the plugins.

        ``expires`` is the maximum age of results in seconds; ``None`` means no maximum.
        ``batch_size`` replaces the setting for the number of results in one transaction.
        """
        observed = self.results.hooks.listens("before_expire", "after_expire")
        size = batch_size or results_settings.expire_batch_size
        return Expiry(
            expires=expires,
            batch_size=min(size, OBSERVED_BATCH_SIZE) if observed else size,
            batch_pause=results_settings.expire_batch_pause,
            before=self._before_expire if observed else None,
            after=self._after_expire if observed else None,
            repeat=partial(self.results.retrying.call, hook="expire_results"),
        )

    def _before_expire(self, batch: ExpiryBatch) -> bool:
        try:
            self.results.hooks.call("before_expire", batch=self._readable(batch))
        except Exception:
            logger.exception(
                "A before_expire hook failed; %d expired results are kept until the next cleanup",
                len(batch.ids),
            )
            return False
        return True

    def _after_expire(self, batch: ExpiryBatch) -> None:
        self.results.hooks.observe("after_expire", batch=self._readable(batch))

    def _readable(self, batch: ExpiryBatch) -> ExpiryBatch:
        return replace(batch, read=self._read)

    def _read(self, stored: StoredTask | StoredGroup) -> Any:
        if isinstance(stored, StoredGroup):
            return self.results.group_record(stored)
        return self.results.record(stored)
