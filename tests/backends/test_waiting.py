"""Waiting for results."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult

from django_celery_results.backends.waiting import Pace

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = pytest.mark.django_db


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend in the database that caches metas that it read."""
    return make_backend(result_cache_max=100)


# -- The pace ------------------------------------------------------------------------


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each sleep, without sleeping."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (0.05, [0.01, 0.02, 0.04, 0.05, 0.05]),
        (0.005, [0.005] * 5),
        (None, [0.01, 0.02, 0.04, 0.08, 0.16]),
        (0, [0] * 5),
    ],
)
def test_waits_grow_to_the_interval(
    slept: list[float], interval: float | None, expected: list[float]
) -> None:
    """A short task is seen soon, and a long one needs few reads."""
    pace = Pace(None, interval)
    for _ in range(5):
        pace.wait()
    assert expected == slept


def test_no_wait_is_longer_than_the_time_left(slept: list[float]) -> None:
    Pace(0.005, 1).wait()
    assert slept[0] <= 0.005


def test_after_the_deadline_waiting_raises_celerys_timeout() -> None:
    with pytest.raises(CeleryTimeoutError):
        Pace(0, 1).wait()


# -- One -----------------------------------------------------------------------------


def test_waiting_ends_with_the_result(backend: Any) -> None:
    """The result may be stored while the caller waits."""
    looks: list[None] = []

    def on_interval() -> None:
        looks.append(None)
        if len(looks) == 2:
            backend.mark_as_done("t1", 5)

    assert 5 == backend.wait_for("t1", timeout=5, on_interval=on_interval)["result"]


def test_waiting_without_a_result_times_out(backend: Any) -> None:
    with pytest.raises(CeleryTimeoutError):
        backend.wait_for("t1", timeout=0.02)


def test_a_result_is_waited_for(backend: Any) -> None:
    """Callers use Celery's own API."""
    backend.mark_as_done("t1", 5)
    assert 5 == backend.app.AsyncResult("t1").get(timeout=5)


# -- Many ----------------------------------------------------------------------------


def test_results_are_yielded_as_they_come(backend: Any) -> None:
    """Results that exist already come first."""
    backend.mark_as_done("t2", 2)

    def on_interval() -> None:
        backend.mark_as_done("t1", 1)

    found = backend.get_many(["t1", "t2"], timeout=5, on_interval=on_interval)
    assert [("t2", 2), ("t1", 1)] == [(key, meta["result"]) for key, meta in found]


def test_on_message_gets_each_meta(backend: Any) -> None:
    """It is called before the result is yielded."""
    backend.mark_as_done("t1", 1)
    told: list[Any] = []
    list(backend.get_many(["t1"], timeout=5, on_message=told.append))
    assert [1] == [meta["result"] for meta in told]


def test_waiting_for_many_times_out(backend: Any) -> None:
    """The results that arrived are yielded first."""
    backend.mark_as_done("t1", 1)
    found = backend.get_many(["t1", "t2"], timeout=0.02)
    assert "t1" == next(found)[0]
    with pytest.raises(CeleryTimeoutError):
        next(found)


def test_rounds_may_be_limited(backend: Any) -> None:
    """Celery's callers count the rounds."""
    assert [] == list(backend.get_many(["t1"], max_iterations=2, interval=0.001))


def test_waiting_for_no_ids_reads_nothing(backend: Any) -> None:
    assert [] == list(backend.get_many([]))


def test_one_id_given_twice_is_yielded_once(backend: Any) -> None:
    """It may be given as bytes and as text."""
    backend.mark_as_done("t1", 1)
    assert 1 == len(list(backend.get_many(["t1", b"t1"], timeout=5)))


def test_a_known_success_is_not_read_again(backend: Any) -> None:
    """SUCCESS is final."""
    backend.mark_as_done("t1", 1)
    for _ in range(2):
        assert 1 == len(list(backend.get_many(["t1"], timeout=5)))
        backend._forget("t1")


def test_a_failure_is_not_remembered(backend: Any) -> None:
    """The task may be sent again."""
    backend.mark_as_failure("t1", ValueError())
    list(backend.get_many(["t1"], timeout=5))
    assert "t1" not in backend._cache


def test_the_caller_may_choose_the_ready_states(backend: Any) -> None:
    backend.mark_as_started("t1")
    found = list(backend.get_many(["t1"], timeout=5, READY_STATES=[states.STARTED]))
    assert states.STARTED == found[0][1]["status"]


def test_a_group_is_joined_natively(backend: Any) -> None:
    """The values are in the order of the group."""
    for one in range(3):
        backend.mark_as_done(f"t{one}", one)
    results = [backend.app.AsyncResult(f"t{one}") for one in (2, 0, 1)]
    assert [2, 0, 1] == GroupResult("g1", results, app=backend.app).get(timeout=5)


def test_a_row_whose_id_differs_in_case_does_not_end_the_wait(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB's default collation ignores case and finds such a row. The wait just times out."""
    backend.mark_as_done("a", 1)
    (stored,) = backend.results.load(["a"])
    monkeypatch.setattr(backend.results, "load", lambda _ids: [stored])
    with pytest.raises(CeleryTimeoutError):
        list(backend.get_many(["A"], timeout=0.02))


def test_a_task_under_way_is_not_yielded(backend: Any) -> None:
    """By default only final states are ready."""
    backend.mark_as_started("t1")
    assert [] == list(backend.get_many(["t1"], max_iterations=1))
