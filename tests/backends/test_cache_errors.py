"""The storage ``django-cache``: what goes wrong, and what may be tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results.backends.cache import _replace
from django_celery_results.exceptions import StorageError

from .common import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import MakeBackend


@pytest.mark.service("memcached")
@pytest.mark.parametrize("first", [True, False])
def test_a_result_that_memcached_cannot_hold_is_an_error(
    make_backend: MakeBackend, first: bool
) -> None:
    """Not silence: the task is named."""
    backend = make_backend("django-cache://memcached")
    backend.forget("t1")
    if not first:
        backend.mark_as_started("t1")
    with pytest.raises(StorageError, match=r"t1.*larger than"):
        backend.mark_as_done("t1", "x" * 2_000_000)


def test_a_cache_that_drops_what_it_is_given_is_an_error(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Memcached does through some of its clients."""
    local.mark_as_started("t1")

    def drop(key: str, *_: Any) -> None:
        local.delete(key)

    monkeypatch.setattr(local.cache_backend, "set", drop)
    with pytest.raises(StorageError, match="t1"):
        local.mark_as_done("t1", 1)


def test_other_errors_of_the_cache_stay_what_they_are(
    local: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is covered up."""

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(local.cache_backend, "add", fail)
    with pytest.raises(RuntimeError, match="broken"):
        local.mark_as_done("t1", 1)


@pytest.mark.parametrize("refused", [0, 1])
def test_a_result_that_went_meanwhile(
    local: Any, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """It had expired: whoever adds first has it, and SUCCESS stays."""
    cache = local.cache_backend
    add, key = cache.add, KEY

    def rivalled(name: str, value: Any, timeout: Any) -> Any:
        if name == key and refused:
            cache.set(key, {"status": states.SUCCESS, "result": "rival"})
        return add(name, value, timeout)

    monkeypatch.setattr(cache, "add", rivalled)
    taken = _replace(cache, key, {"status": states.FAILURE}, None)
    assert (not refused) == taken


def redis_error() -> Exception:
    """The lost connection of redis-py, which is not Python's."""
    from redis.exceptions import ConnectionError as RedisConnectionError

    return RedisConnectionError("lost")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (lambda: ConnectionResetError("lost"), True),
        (lambda: TimeoutError("slow"), True),
        (redis_error, True),
        (lambda: ValueError("no"), False),
    ],
)
def test_what_may_be_tried_again(
    local: Any, error: Callable[[], Exception], expected: bool
) -> None:
    """By the names of the errors."""
    assert expected == local.exception_safe_to_retry(error())
