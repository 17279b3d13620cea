"""Letting go of what has expired, with plugins told before and after."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from celery.backends.base import Backend

from ..conf import results_settings
from ..records import Expiry, ExpiryBatch, StoredGroup

if TYPE_CHECKING:
    from ..hooks import Hooks
    from ..records import GroupRecord, StoredTask, TaskRecord

__all__ = ["CleanupMixin"]

logger = logging.getLogger(__name__)

#: Results that a plugin is shown at a time, at most: they are in memory meanwhile.
HEARD_BATCH = 1000


class CleanupMixin(Backend):
    """Celery's cleanup, over the hooks of expiry."""

    if TYPE_CHECKING:
        expires: float | None
        hooks: Hooks

        def finish_chords(self) -> int:
            """Finish chords whose worker died: see :class:`.chords.ChordMixin`."""

        def _persist(self, hook: str, **arguments: Any) -> Any: ...

        def _repeat_batch(self, batch: Callable[[], Any]) -> Any: ...

        def _decode_task(self, stored: StoredTask) -> TaskRecord: ...

        def _decode_group(self, stored: StoredGroup) -> GroupRecord: ...

    def cleanup(self) -> None:
        """Finish chords whose worker died, and delete what has expired.

        Celery's ``celery.backend_cleanup`` calls this daily.
        """
        try:
            # First, while the results of their headers are there.
            self.finish_chords()
        finally:
            self._persist("expire_results", expiry=self.expiry(self.expires or None))

    def expiry(self, expires: float | None, batch_size: int | None = None) -> Expiry:
        """Return what a storage needs to know to let go of results, the plugins told.

        ``expires`` is the age in seconds that results may reach, ``batch_size`` another
        number of them than the settings' for one transaction.
        """
        heard = self.hooks.listens("before_expire", "after_expire")
        size = batch_size or results_settings.expire_batch_size
        return Expiry(
            expires=expires,
            batch_size=min(size, HEARD_BATCH) if heard else size,
            batch_pause=results_settings.expire_batch_pause,
            before=self._before_expire if heard else None,
            after=self._after_expire if heard else None,
            repeat=self._repeat_batch,
        )

    def _before_expire(self, batch: ExpiryBatch) -> bool:
        try:
            self.hooks.call("before_expire", batch=self._readable(batch))
        except Exception:
            logger.exception(
                "A before_expire hook failed; %d expired results are kept until the next cleanup",
                len(batch.ids),
            )
            return False
        return True

    def _after_expire(self, batch: ExpiryBatch) -> None:
        self.hooks.observe("after_expire", batch=self._readable(batch))

    def _readable(self, batch: ExpiryBatch) -> ExpiryBatch:
        return replace(batch, read=self._decode_stored)

    def _decode_stored(self, stored: Any) -> Any:
        decode = self._decode_group if isinstance(stored, StoredGroup) else self._decode_task
        return decode(stored)
