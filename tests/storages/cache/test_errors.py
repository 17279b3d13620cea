"""The storage ``django-cache``: errors, and which of them allow a retry."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches
from django.db import OperationalError, connection
from django.utils.connection import BaseConnectionHandler

from django_celery_results.exceptions import StorageError
from django_celery_results.records import Contents, StoredTask
from django_celery_results.storages.cache.errors import prepare_retry
from django_celery_results.storages.cache.plugin import _replace
from tests import settings as test_settings
from tests.backends.common import KEY
from tests.backends.killing import kill
from tests.conftest import require_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.testing.fixtures import MakeBackend


@pytest.mark.service("memcached")
@pytest.mark.parametrize("first", [True, False])
def test_a_result_that_memcached_cannot_hold_is_an_error(
    make_backend: MakeBackend, first: bool
) -> None:
    """The error names the task."""
    backend = make_backend("django-cache://memcached")
    backend.forget("t1")
    if not first:
        backend.mark_as_started("t1")
    with pytest.raises(StorageError, match=r"t1.*larger than"):
        backend.mark_as_done("t1", "x" * 2_000_000)


def test_a_cache_that_drops_a_value_is_an_error(
    cache_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memcached drops values through some of its clients."""
    cache_backend.mark_as_started("t1")

    def drop(key: str, *_: Any) -> None:
        cache_backend.delete(key)

    monkeypatch.setattr(cache_backend.cache_backend, "set", drop)
    with pytest.raises(StorageError, match="t1"):
        cache_backend.mark_as_done("t1", 1)


def test_other_errors_of_the_cache_stay_what_they_are(
    cache_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(cache_backend.cache_backend, "add", fail)
    with pytest.raises(RuntimeError, match="broken"):
        cache_backend.mark_as_done("t1", 1)


@pytest.mark.parametrize("refused", [0, 1])
def test_a_state_whose_key_expired_meanwhile_does_not_replace_a_new_success(
    cache_backend: Any, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    """The key expired after the first ``add``, and another process may add a SUCCESS."""
    cache = cache_backend.cache_backend
    add, key = cache.add, KEY

    def rivalled(name: str, value: Any, timeout: Any) -> Any:
        if name == key and refused:
            cache.set(key, {"status": states.SUCCESS, "result": "rival"})
        return add(name, value, timeout)

    monkeypatch.setattr(cache, "add", rivalled)
    contents = Contents(fields={}, content_type="application/json", content_encoding="utf-8")
    task = StoredTask(task_id="t1", status=states.FAILURE, contents=contents)
    taken = _replace(cache, key, task, None)
    assert (not refused) == taken


# -- What may be tried again ---------------------------------------------------------


def redis_error(name: str) -> Exception:
    """Return one of redis-py's errors."""
    redis_exceptions: Any = pytest.importorskip("redis.exceptions")
    kind = getattr(redis_exceptions, name)
    error: Exception = kind("no")
    return error


def memcache_error(name: str) -> Exception:
    """Return one of pymemcache's errors."""
    memcache_exceptions: Any = pytest.importorskip("pymemcache.exceptions")
    kind = getattr(memcache_exceptions, name)
    error: Exception = kind("no")
    return error


def interrupted(cause: Exception) -> Exception:
    """Return the error that django-redis raises from one of redis-py's."""
    error: Exception = type("ConnectionInterrupted", (Exception,), {})()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        lambda: ConnectionResetError("lost"),
        lambda: TimeoutError("slow"),
        lambda: socket.gaierror("unknown"),
        lambda: redis_error("ConnectionError"),
        lambda: redis_error("TimeoutError"),
        lambda: redis_error("BusyLoadingError"),
        lambda: redis_error("TryAgainError"),
        lambda: redis_error("ClusterDownError"),
        lambda: redis_error("ReadOnlyError"),
        lambda: redis_error("MaxConnectionsError"),
        lambda: interrupted(redis_error("ConnectionError")),
        lambda: memcache_error("MemcacheUnexpectedCloseError"),
        lambda: memcache_error("MemcacheError"),
    ],
)
def test_temporary_errors_may_be_tried_again(
    cache_backend: Any, error: Callable[[], Exception]
) -> None:
    """They are recognized by the names of their classes."""
    assert cache_backend.exception_safe_to_retry(error())


@pytest.mark.parametrize(
    "error",
    [
        lambda: ValueError("no"),
        lambda: redis_error("ResponseError"),
        lambda: redis_error("AuthenticationError"),
        lambda: redis_error("AuthorizationError"),
        lambda: redis_error("NoPermissionError"),
        lambda: redis_error("OutOfMemoryError"),
        lambda: interrupted(redis_error("AuthenticationError")),
        lambda: interrupted(redis_error("ResponseError")),
        lambda: memcache_error("MemcacheServerError"),
        lambda: memcache_error("MemcacheIllegalInputError"),
        lambda: OperationalError("made up: no connection raised it"),
    ],
)
def test_permanent_errors_are_not_tried_again(
    cache_backend: Any, error: Callable[[], Exception]
) -> None:
    """A refused password, for example, stays refused."""
    assert not cache_backend.exception_safe_to_retry(error())


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no server")
def test_the_database_cache_gets_a_new_connection(make_backend: MakeBackend) -> None:
    """Results in the database get one in the same way."""
    backend = make_backend("django-cache://database")
    backend.mark_as_done("t1", 1)
    kill(connection)
    assert 1 == backend.get_result("t1")
    backend.forget("t1")


@pytest.fixture
def own_memcached() -> Iterator[Memcached]:
    """A memcached that a test may kill, under the cache alias ``memcached``."""
    require_program("memcached")
    server = Memcached()
    server.start()
    configured = caches.settings["memcached"]["LOCATION"]
    caches.settings["memcached"]["LOCATION"] = f"127.0.0.1:{server.port}"
    caches["memcached"].close()
    del caches["memcached"]
    yield server
    caches["memcached"].close()
    del caches["memcached"]
    caches.settings["memcached"]["LOCATION"] = configured
    server.kill()


class Memcached:
    """A server of this test, which is empty after a restart."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def start(self) -> None:
        """Start it, and return when it answers."""
        command = ["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command)
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


def test_a_memcached_that_was_away_for_a_while_gets_its_results(
    make_backend: MakeBackend, own_memcached: Memcached
) -> None:
    """Its client alone would skip the server for a minute."""
    backend = make_backend(
        "django-cache://memcached", result_backend_max_sleep_between_retries_ms=50
    )
    backend.mark_as_started("t1")
    own_memcached.kill()
    back = threading.Timer(1, own_memcached.start)
    back.start()
    backend.max_retries = 1000
    backend.mark_as_done("t1", 1)
    back.join()
    assert 1 == backend.get_result("t1")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_lost_connection_takes_a_new_client(
    monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Where Django cannot drop the client, the call is retried with the same one."""
    if not is_there:
        monkeypatch.delattr(BaseConnectionHandler, "__delitem__")
    before = caches["default"]
    assert prepare_retry(ConnectionError("lost"), "default")
    assert is_there is (caches["default"] is not before)
