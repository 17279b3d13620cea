"""Saying that the storage is away, but not for each result."""

from __future__ import annotations

import logging
import time
from threading import Lock

__all__ = ["Outage", "outage"]

logger = logging.getLogger(__name__)


class Outage:
    """Logs what the storage raises, once a minute."""

    #: Seconds.
    PAUSE = 60

    def __init__(self) -> None:
        self.lock = Lock()
        self.silent_until = 0.0
        #: Results that nothing was said of.
        self.unsaid = 0

    def log(self, alias: str, error: Exception) -> None:
        """Say it, unless it was said a short time ago."""
        with self.lock:
            now = time.monotonic()
            if now < self.silent_until:
                self.unsaid += 1
                return
            unsaid, self.unsaid = self.unsaid, 0
            self.silent_until = now + self.PAUSE
        logger.error(
            "The storage %r fails, and contents stay in their rows (%d more since this was last "
            "logged): %s: %s",
            alias,
            unsaid,
            type(error).__name__,
            error,
        )


outage = Outage()
