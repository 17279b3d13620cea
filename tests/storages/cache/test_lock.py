"""The lock between processes, in each cache."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

from django_celery_results.exceptions import StorageError
from django_celery_results.storages.cache import writes as module
from django_celery_results.storages.cache.writes import cache_lock

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache


@pytest.fixture
def cache(results_cache: str) -> BaseCache:
    """Each cache in turn."""
    return caches[results_cache]


def test_a_lock_is_given_back(cache: BaseCache) -> None:
    """It is released even if its holder fails."""
    with pytest.raises(ZeroDivisionError), cache_lock(cache, "key"):
        raise ZeroDivisionError
    with cache_lock(cache, "key"):
        assert None is not cache.get("key.lock")
    assert None is cache.get("key.lock")


def test_locks_of_two_keys_are_two(cache: BaseCache) -> None:
    """Neither waits for the other."""
    with cache_lock(cache, "one"), cache_lock(cache, "two"):
        pass


def test_a_lock_that_stays_taken_is_an_error(
    cache: BaseCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends after twice the lock's time-out."""
    monkeypatch.setattr(module, "LOCK_TIMEOUT", 0.02)
    cache.set("key.lock", "somebody's", 60)
    with pytest.raises(StorageError, match="the lock"), cache_lock(cache, "key"):
        pass
    assert "somebody's" == cache.get("key.lock")


def test_a_lock_that_passed_to_another_is_not_taken_from_it(cache: BaseCache) -> None:
    """The first holder took longer than the time-out."""
    with cache_lock(cache, "key"):
        cache.set("key.lock", "another's", 60)
    assert "another's" == cache.get("key.lock")


def test_a_waiting_process_gets_the_lock_when_it_is_released() -> None:
    cache, seen = caches["default"], []

    def second() -> None:
        with cache_lock(cache, "key"):
            seen.append("second")

    with cache_lock(cache, "key"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.02)
        seen.append("first")
    thread.join()
    assert ["first", "second"] == seen
