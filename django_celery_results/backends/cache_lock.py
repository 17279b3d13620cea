"""A lock between processes, in a Django cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from ..exceptions import StorageError

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache

__all__ = ["cache_lock"]

#: Seconds after which the lock of a process that died is free again.
LOCK_TIMEOUT = 10
#: Seconds between two tries for a lock, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05


@contextmanager
def cache_lock(cache: BaseCache, key: str) -> Iterator[None]:
    """Hold the lock of ``key`` in ``cache``: ``add`` lets only one have it.

    Raises :class:`StorageError` when it cannot be had in twice its own time-out.
    """
    lock, token = f"{key}.lock", uuid4().hex
    deadline = time.monotonic() + 2 * LOCK_TIMEOUT
    pause = FIRST_PAUSE
    while not cache.add(lock, token, LOCK_TIMEOUT):
        if time.monotonic() > deadline:
            raise StorageError(f"The cache does not give the lock {lock!r}")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    try:
        yield
    finally:
        # One that took longer than the time-out has no lock to give back.
        if cache.get(lock) == token:
            cache.delete(lock)
