"""Trying a storage again, as Celery's settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from django_celery_results import hookimpl
from django_celery_results.exceptions import HookError, ResultUnreadable, StorageError

if TYPE_CHECKING:
    from .conftest import MakeBackend, UsePlugins


class Flaky:
    """A storage whose reads fail so many times."""

    django_celery_results_name = "flaky"

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    @hookimpl
    def open_storage(self) -> str:
        """There is none."""
        return "storage"

    @hookimpl
    def store_task(self) -> bool:
        """Store nothing."""
        return True

    @hookimpl
    def forget_task(self) -> bool:
        """Forget nothing."""
        return True

    @hookimpl
    def load_tasks(self) -> list[Any]:
        """Fail at first."""
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError(f"lost {self.calls}")
        return []

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Only a lost connection may be back."""
        return isinstance(error, ConnectionError)


def flaky(make_backend: MakeBackend, use_plugins: UsePlugins, failures: int, **conf: Any) -> Any:
    """Return a backend on a storage that fails so many times, and the storage."""
    storage = Flaky(failures)
    use_plugins(storage)
    conf = {"result_backend_max_retries": 2, **conf}
    backend = make_backend(
        "django-results+flaky://", result_backend_base_sleep_between_retries_ms=1, **conf
    )
    return backend, storage


@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (1, 2), (2, 3)])
def test_what_failed_is_tried_again(
    make_backend: MakeBackend, use_plugins: UsePlugins, failures: int, calls: int
) -> None:
    """As often as result_backend_max_retries says."""
    backend, storage = flaky(make_backend, use_plugins, failures, result_backend_always_retry=True)
    assert [] == backend._load(["t1"])
    assert calls == storage.calls


def test_after_that_the_error_is_raised(make_backend: MakeBackend, use_plugins: UsePlugins) -> None:
    """The last one."""
    backend, _ = flaky(make_backend, use_plugins, 9, result_backend_always_retry=True)
    with pytest.raises(ConnectionError, match="lost 3"):
        backend._load(["t1"])


def test_nothing_is_tried_again_unasked(make_backend: MakeBackend, use_plugins: UsePlugins) -> None:
    """result_backend_always_retry is off by default."""
    backend, storage = flaky(make_backend, use_plugins, 9)
    with pytest.raises(ConnectionError):
        backend._load(["t1"])
    assert 1 == storage.calls


def test_a_read_that_celery_repeats_is_not_repeated_here_too(
    make_backend: MakeBackend, use_plugins: UsePlugins
) -> None:
    """Three tries are three, not nine."""
    backend, storage = flaky(make_backend, use_plugins, 99, result_backend_always_retry=True)
    with pytest.raises(Exception, match="failed to get meta"):
        backend.get_task_meta("t1")
    assert 3 == storage.calls


def test_a_storage_that_does_not_say_is_not_asked_again(
    make_backend: MakeBackend, use_plugins: UsePlugins
) -> None:
    """No answer is no."""
    backend, _ = flaky(make_backend, use_plugins, 0)
    assert not backend.exception_safe_to_retry(ValueError())


class Generous(Flaky):
    """One that would try anything again."""

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Whatever it was."""
        return isinstance(error, Exception)


def test_an_answer_of_our_own_is_final(make_backend: MakeBackend, use_plugins: UsePlugins) -> None:
    """An unreadable row stays unreadable: a storage is asked about its own errors alone."""
    use_plugins(Generous(0))
    backend = make_backend("django-results+flaky://")
    errors = [ResultUnreadable("corrupt"), HookError("no answer"), StorageError("no lock")]
    assert [False, False, True] == [backend.exception_safe_to_retry(error) for error in errors]
