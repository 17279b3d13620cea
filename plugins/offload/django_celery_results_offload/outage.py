"""Logging that the storage fails, but not for each result."""

from __future__ import annotations

import logging
import time
from threading import Lock

__all__ = ["Outage", "outage"]

logger = logging.getLogger(__name__)


class Outage:
    """Logs the storage's errors, at most one a minute."""

    #: Seconds between two log messages.
    PAUSE = 60

    def __init__(self) -> None:
        self.lock = Lock()
        self.silent_until = 0.0
        #: Results since the last message that were not logged.
        self.unsaid = 0

    def log(self, alias: str, error: Exception) -> None:
        """Log the error, unless another was logged less than a minute ago."""
        with self.lock:
            now = time.monotonic()
            if now < self.silent_until:
                self.unsaid += 1
                return
            unsaid, self.unsaid = self.unsaid, 0
            self.silent_until = now + self.PAUSE
        logger.error(
            "The storage %r cannot be written to, so contents stay in their rows (%d more since "
            "this was last logged); run 'celery_results offload --move' once it can: %s: %s",
            alias,
            unsaid,
            type(error).__name__,
            error,
        )


outage = Outage()
