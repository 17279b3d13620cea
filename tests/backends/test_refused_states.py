"""Which state stays in any storage, and what is logged of a state that does not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results.backends import results
from tests.backends.common import Recorder

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db

ANSWERS = [
    states.STARTED,
    states.RETRY,
    states.FAILURE,
    states.REVOKED,
    states.PENDING,
    states.SUCCESS,
]


def stored(backend: Any, task_id: str = "t1") -> tuple[str, Any]:
    """Return the state and the result of a task, as they are stored now."""
    meta = backend.get_task_meta(task_id, cache=False)
    return meta["status"], meta["result"]


def value_of(state: str, value: Any) -> Any:
    """Return something that Celery stores as the result of this state."""
    return ValueError(value) if state in states.EXCEPTION_STATES else value


# -- PENDING -------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", [None, states.STARTED, "PROGRESS", states.RETRY])
def test_progress_may_be_reported_as_pending(any_backend: Any, earlier: str | None) -> None:
    """Every report replaces the one before it, until the task ends."""
    if earlier is not None:
        any_backend.store_result("t1", value_of(earlier, "before"), earlier)
    for number in range(3):
        any_backend.store_result("t1", {"done": number}, states.PENDING)
        assert (states.PENDING, {"done": number}) == stored(any_backend)
    any_backend.mark_as_done("t1", "ended")
    assert (states.SUCCESS, "ended") == stored(any_backend)


@pytest.mark.parametrize("value", [0, "", [], {}, False])
def test_a_value_that_is_false_is_a_value(any_backend: Any, value: Any) -> None:
    """Only ``None`` is nothing."""
    any_backend.store_result("t1", 1, states.PENDING)
    any_backend.store_result("t1", value, states.PENDING)
    assert (states.PENDING, value) == stored(any_backend)


@pytest.mark.parametrize("earlier", [states.STARTED, "PROGRESS", states.PENDING])
def test_an_empty_pending_overwrites_nothing(any_backend: Any, earlier: str) -> None:
    """It says that the task was sent, and may be stored last."""
    any_backend.store_result("t1", {"done": 1}, earlier)
    any_backend.store_result("t1", None, states.PENDING)
    assert (earlier, {"done": 1}) == stored(any_backend)


def test_an_empty_pending_is_recognized_under_codings(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The encoded contents hide that the result is empty, and progress is stored all the same."""
    registered(CODINGS=["zlib"])
    backend = make_backend()
    for value in (1, 2, None):
        backend.store_result("t1", value, states.PENDING)
    assert (states.PENDING, 2) == stored(backend)


# -- No state ------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["PROGRESS", states.STARTED, states.RECEIVED])
def test_an_update_without_a_state_keeps_it(any_backend: Any, state: str) -> None:
    """``update_state(meta=...)`` reports progress of the state that is stored."""
    any_backend.store_result("t1", {"done": 1}, state)
    any_backend.store_result("t1", {"done": 2}, None)
    assert (state, {"done": 2}) == stored(any_backend)


@pytest.mark.parametrize("state", [None, states.PENDING, *sorted(states.EXCEPTION_STATES)])
def test_an_update_without_a_state_says_that_the_task_runs(
    any_backend: Any, state: str | None
) -> None:
    """A task that reports progress has begun, perhaps again after a failure."""
    if state is not None:
        any_backend.store_result("t1", value_of(state, "before"), state)
    any_backend.store_result("t1", {"done": 2}, None)
    assert (states.STARTED, {"done": 2}) == stored(any_backend)


def test_an_update_without_a_state_leaves_a_success(any_backend: Any) -> None:
    """SUCCESS is final."""
    any_backend.mark_as_done("t1", 1)
    any_backend.store_result("t1", {"done": 2}, None)
    assert (states.SUCCESS, 1) == stored(any_backend)


def test_a_task_updates_its_meta_without_a_state(any_backend: Any) -> None:
    """Celery's method passes ``None`` as the state."""

    @any_backend.app.task(name="a task", shared=False)  # type: ignore[untyped-decorator]  # Celery's
    def report() -> None:
        """Do nothing; the test reports for it."""

    report.update_state("t1", meta={"done": 1})
    assert (states.STARTED, {"done": 1}) == stored(any_backend)


# -- The log -------------------------------------------------------------------------


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings about states that were not stored."""
    return [
        one.getMessage()
        for one in caplog.records
        if one.name == results.__name__ and one.levelno == logging.WARNING
    ]


@pytest.mark.parametrize("late", ANSWERS)
def test_a_state_that_is_dropped_is_logged_with_both_states(
    any_backend: Any, caplog: pytest.LogCaptureFixture, late: str
) -> None:
    """The second attempt of a task, or another task under its id."""
    any_backend.mark_as_done("t1", 1)
    any_backend.store_result("t1", value_of(late, "late"), late)
    (line,) = warnings_in(caplog)
    assert f"The state {late} of task t1 was not stored: its stored state is SUCCESS" in line
    assert (states.SUCCESS, 1) == stored(any_backend)


def test_a_dropped_state_is_logged_once_a_task(
    any_backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Each further attempt would say the same."""
    for task_id in ("t1", "t2"):
        any_backend.mark_as_done(task_id, 1)
    for task_id in ("t1", "t1", "t2"):
        any_backend.mark_as_started(task_id)
        any_backend.mark_as_done(task_id, 2)
    assert ["t1", "t2"] == [line.split()[5] for line in warnings_in(caplog)]


def test_an_empty_pending_that_comes_late_is_not_logged(
    any_backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is written when a task is sent, and often stored after the first state."""
    any_backend.mark_as_done("t1", 1)
    any_backend.store_result("t1", None, states.PENDING)
    assert [] == warnings_in(caplog)


def test_the_ids_that_were_logged_take_little_memory(
    make_backend: MakeBackend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are forgotten when there are too many, and the next refusal is logged again."""
    monkeypatch.setattr(results, "REFUSALS_KEPT", 1)
    backend = make_backend()
    for task_id in ("t1", "t2", "t1"):
        for _ in range(2):
            backend.mark_as_done(task_id, 1)
    assert 3 == len(warnings_in(caplog))


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_state_that_cannot_be_read_does_not_fail_the_store(
    make_backend: MakeBackend,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_gone: bool,
) -> None:
    """The line says so instead."""

    def fail(*_: Any) -> None:
        if not is_gone:
            raise ValueError("no connection")

    backend = make_backend()
    backend.mark_as_done("t1", 1)
    monkeypatch.setattr(backend.results, "_present", fail)
    backend.mark_as_done("t1", 2)
    expected = "not there any more" if is_gone else "unknown (ValueError: no connection)"
    assert f"its stored state is {expected}," in warnings_in(caplog)[0]


@pytest.mark.django_db(transaction=True)
def test_the_line_costs_a_query_only_if_a_state_is_dropped(
    make_backend: MakeBackend, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """One statement stores, one more reads for the line, and that once a task."""
    backend = make_backend()
    for queries in (1, 2, 1):
        with django_assert_num_queries(queries):
            backend.mark_as_done("t1", 1)


def test_plugins_see_what_was_dropped(make_backend: MakeBackend, registered: Register) -> None:
    """So a plugin can count it."""
    recorder = Recorder()
    registered(recorder)
    backend = make_backend()
    for number in range(2):
        backend.mark_as_done("t1", number)
    assert [(0, states.SUCCESS, True), (1, states.SUCCESS, False)] == recorder.heard
