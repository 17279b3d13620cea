"""Trying a storage again, as Celery's ``result_backend_always_retry`` asks."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from celery.backends.base import Backend
from celery.utils.time import get_exponential_backoff_interval

from ..exceptions import ResultsError, StorageError

if TYPE_CHECKING:
    from ..hooks import Hooks

__all__ = ["RetryingMixin"]

logger = logging.getLogger(__name__)


class RetryingMixin(Backend):
    """Calls of a storage's hooks that Celery itself does not repeat."""

    if TYPE_CHECKING:
        hooks: Hooks
        storage: Any
        always_retry: bool
        base_sleep_between_retries_ms: int
        max_retries: float
        max_sleep_between_retries_ms: int

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether the storage says that the call that raised ``exc`` may be repeated."""
        # An answer of ours about what is stored or installed is the same at every try.
        is_final = isinstance(exc, ResultsError) and not isinstance(exc, StorageError)
        return not is_final and bool(self.hooks.call("can_retry", storage=self.storage, error=exc))

    def _persist(self, hook: str, **arguments: Any) -> Any:
        """Call a hook of the storage, with Celery's settings for retries."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return self.hooks.call(hook, storage=self.storage, **arguments)
            except Exception as error:
                wanted = self.always_retry and attempt <= self.max_retries
                if not (wanted and self.exception_safe_to_retry(error)):
                    raise
                logger.warning("Storage %r: %s; trying again", self.hooks.storage, error)
            wait = get_exponential_backoff_interval(
                self.base_sleep_between_retries_ms,
                attempt,
                self.max_sleep_between_retries_ms,
                full_jitter=True,
            )
            time.sleep(wait / 1000)
