"""Retries of a storage, as plugins observe them through ``storage_retried``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.exceptions import BackendError

from django_celery_results import hookimpl

from .test_retrying import OPERATIONS, Flaky

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend, Register


class Onlooker:
    """Records each retry, and raises ``error`` if it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[tuple[str, str, str]] = []
        self.waits: list[float] = []

    @hookimpl
    def storage_retried(self, storage_name: str, hook: str, error: Exception, wait: float) -> None:
        """Record the arguments."""
        self.seen.append((storage_name, hook, str(error)))
        self.waits.append(wait)
        if self.error is not None:
            raise self.error


@pytest.fixture
def onlooker() -> Onlooker:
    """An observer that does not fail."""
    return Onlooker()


def watched(
    make_backend: MakeBackend, registered: Register, onlooker: Onlooker, failures: int
) -> Any:
    """Return a backend whose storage fails so many times in each hook."""
    registered(Flaky(failures), onlooker)
    return make_backend(
        "django-results+flaky://",
        result_backend_max_retries=2,
        result_backend_base_sleep_between_retries_ms=1,
    )


@pytest.mark.parametrize("hook", OPERATIONS)
def test_plugins_see_each_retry(
    make_backend: MakeBackend, registered: Register, onlooker: Onlooker, hook: str
) -> None:
    OPERATIONS[hook](watched(make_backend, registered, onlooker, 2))
    own = [seen for seen in onlooker.seen if seen[1] == hook]
    assert [("flaky", hook, "lost 1"), ("flaky", hook, "lost 2")] == own


def test_plugins_see_how_long_the_backend_waits(
    make_backend: MakeBackend, registered: Register, onlooker: Onlooker, monkeypatch: Any
) -> None:
    backend = watched(make_backend, registered, onlooker, 2)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    backend.get_task_meta("t1")
    assert slept == onlooker.waits


def test_the_last_failure_is_not_observed_as_a_retry(
    make_backend: MakeBackend, registered: Register, onlooker: Onlooker
) -> None:
    """Two retries make three tries."""
    backend = watched(make_backend, registered, onlooker, 99)
    with pytest.raises(BackendError):
        backend.get_task_meta("t1")
    assert 2 == len(onlooker.seen)


def test_a_failing_observer_does_not_stop_the_retry(
    make_backend: MakeBackend, registered: Register
) -> None:
    onlooker = Onlooker(ValueError("no more"))
    backend = watched(make_backend, registered, onlooker, 1)
    backend.store_result("t1", 1, states.SUCCESS)
    assert 1 == len(onlooker.seen)
