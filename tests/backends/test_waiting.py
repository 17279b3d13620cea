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
    """A backend in the database that remembers what it read."""
    return make_backend(result_cache_max=100)


# -- The pace ------------------------------------------------------------------------


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, without sleeping."""
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
    """A short task is seen soon, a long one costs little."""
    pace = Pace(None, interval)
    for _ in range(5):
        pace.wait()
    assert expected == slept


def test_no_wait_is_longer_than_what_is_left(slept: list[float]) -> None:
    """The time-out is kept."""
    Pace(0.005, 1).wait()
    assert slept[0] <= 0.005


def test_when_time_is_up_it_is_an_error() -> None:
    """Celery's."""
    with pytest.raises(CeleryTimeoutError):
        Pace(0, 1).wait()


# -- One -----------------------------------------------------------------------------


def test_waiting_ends_with_the_result(backend: Any) -> None:
    """Which may come meanwhile."""
    looks: list[None] = []

    def on_interval() -> None:
        looks.append(None)
        if len(looks) == 2:
            backend.mark_as_done("t1", 5)

    assert 5 == backend.wait_for("t1", timeout=5, on_interval=on_interval)["result"]


def test_waiting_for_nothing_times_out(backend: Any) -> None:
    """After the seconds given."""
    with pytest.raises(CeleryTimeoutError):
        backend.wait_for("t1", timeout=0.02)


def test_a_result_is_waited_for(backend: Any) -> None:
    """Through Celery's own API."""
    backend.mark_as_done("t1", 5)
    assert 5 == backend.app.AsyncResult("t1").get(timeout=5)


# -- Many ----------------------------------------------------------------------------


def test_results_are_yielded_as_they_come(backend: Any) -> None:
    """Those that are there first."""
    backend.mark_as_done("t2", 2)

    def on_interval() -> None:
        backend.mark_as_done("t1", 1)

    found = backend.get_many(["t1", "t2"], timeout=5, on_interval=on_interval)
    assert [("t2", 2), ("t1", 1)] == [(key, meta["result"]) for key, meta in found]


def test_messages_are_told_of(backend: Any) -> None:
    """Before they are yielded."""
    backend.mark_as_done("t1", 1)
    told: list[Any] = []
    list(backend.get_many(["t1"], timeout=5, on_message=told.append))
    assert [1] == [meta["result"] for meta in told]


def test_many_time_out(backend: Any) -> None:
    """What came was yielded."""
    backend.mark_as_done("t1", 1)
    found = backend.get_many(["t1", "t2"], timeout=0.02)
    assert "t1" == next(found)[0]
    with pytest.raises(CeleryTimeoutError):
        next(found)


def test_rounds_may_be_limited(backend: Any) -> None:
    """Celery's callers count them."""
    assert [] == list(backend.get_many(["t1"], max_iterations=2, interval=0.001))


def test_nothing_is_waited_for_nothing(backend: Any) -> None:
    """Not even once."""
    assert [] == list(backend.get_many([]))


def test_one_id_given_twice_is_yielded_once(backend: Any) -> None:
    """As bytes or text."""
    backend.mark_as_done("t1", 1)
    assert 1 == len(list(backend.get_many(["t1", b"t1"], timeout=5)))


def test_what_is_known_is_not_read_again(backend: Any) -> None:
    """A SUCCESS is final."""
    backend.mark_as_done("t1", 1)
    for _ in range(2):
        assert 1 == len(list(backend.get_many(["t1"], timeout=5)))
        backend._forget("t1")


def test_a_failure_is_not_remembered(backend: Any) -> None:
    """The task may be sent again."""
    backend.mark_as_failure("t1", ValueError())
    list(backend.get_many(["t1"], timeout=5))
    assert "t1" not in backend._cache


def test_which_states_are_ready_may_be_said(backend: Any) -> None:
    """Another caller waits for other things."""
    backend.mark_as_started("t1")
    found = list(backend.get_many(["t1"], timeout=5, READY_STATES=[states.STARTED]))
    assert states.STARTED == found[0][1]["status"]


def test_a_group_is_joined_natively(backend: Any) -> None:
    """In its order."""
    for one in range(3):
        backend.mark_as_done(f"t{one}", one)
    results = [backend.app.AsyncResult(f"t{one}") for one in (2, 0, 1)]
    assert [2, 0, 1] == GroupResult("g1", results, app=backend.app).get(timeout=5)


def test_an_id_that_the_database_takes_for_another(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB's usual collation does not tell capitals: no error, and no endless wait."""
    backend.mark_as_done("a", 1)
    (stored,) = backend.results.load(["a"])
    monkeypatch.setattr(backend.results, "load", lambda _ids: [stored])
    with pytest.raises(CeleryTimeoutError):
        list(backend.get_many(["A"], timeout=0.02))


def test_what_is_under_way_is_not_yielded(backend: Any) -> None:
    """Only final states are, unless said otherwise."""
    backend.mark_as_started("t1")
    assert [] == list(backend.get_many(["t1"], max_iterations=1))
