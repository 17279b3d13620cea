"""Writes to a Django cache that either succeed or are known to have failed.

Django's database cache lets an ``add`` or ``set`` fail silently when the database is locked
(SQLite) or sees a deadlock, and Memcached drops values that are too large. Values that a
chord or a result depends on are therefore read back, and written again if necessary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ...exceptions import StorageError

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache

__all__ = ["add_surely", "cache_lock", "set_surely"]

#: Seconds before each further try.
PAUSES = (0.002, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 0.0)
#: Seconds after which the lock of a process that died is free again.
LOCK_TIMEOUT = 10
#: Seconds between two tries for a lock, at first and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.05


def add_surely(cache: BaseCache, key: str, value: Any, timeout: float | None) -> bool:
    """Add ``value`` under ``key``; return whether this call added it.

    Raises :class:`StorageError` if the key is still empty after the last try.
    """
    for pause in PAUSES:
        if cache.add(key, value, timeout):
            return True
        if cache.get(key) is not None:
            return False
        time.sleep(pause)
    raise StorageError(f"The cache does not keep {key!r}")


def set_surely(
    cache: BaseCache,
    key: str,
    value: Any,
    timeout: float | None,
    is_written: Callable[[Any], bool],
) -> bool:
    """Set ``key`` to ``value``; return whether ``is_written`` accepts the value read back.

    The caller holds the lock of ``key``, so that no other process writes in between.
    """
    for pause in PAUSES:
        cache.set(key, value, timeout)
        if is_written(cache.get(key)):
            return True
        time.sleep(pause)
    return False


@contextmanager
def cache_lock(cache: BaseCache, key: str) -> Iterator[None]:
    """Hold the lock of ``key`` in ``cache``, a key that only one process can ``add``.

    Raises :class:`StorageError` if it is not free within twice its own time-out.
    """
    lock, token = f"{key}.lock", uuid4().hex
    deadline = time.monotonic() + 2 * LOCK_TIMEOUT
    pause = FIRST_PAUSE
    while not cache.add(lock, token, LOCK_TIMEOUT):
        if time.monotonic() > deadline:
            raise StorageError(f"Cannot get the lock {lock!r} of the cache: it is taken")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    try:
        yield
    finally:
        # A holder that took longer than the time-out has lost the lock.
        if cache.get(lock) == token:
            cache.delete(lock)
