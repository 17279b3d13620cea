"""Chords without polling: the header is joined from stored results, the body is sent once.

The body runs where it is sent (``task_always_eager``), so that tests can see its arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.exceptions import ChordError
from django.core.cache import caches

from django_celery_results.exceptions import HookError
from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.records import ChordPart, ChordProgress

if TYPE_CHECKING:
    from .common import Chord

pytestmark = pytest.mark.django_db


def body_error(chord: Chord) -> str:
    """Return the message of the body's error."""
    result = chord.app.AsyncResult("body-id")
    assert states.FAILURE == result.state
    assert isinstance(result.result, ChordError)
    return str(result.result)


def test_the_body_gets_the_values_in_order(chord: Chord) -> None:
    """The parts return in another order than the header's."""
    chord.start("a", "b", "c")
    for task_id in "cab":
        chord.done(task_id, task_id.upper())
    assert [["A", "B", "C"]] == chord.sent


def test_the_body_waits_for_the_last_part(chord: Chord) -> None:
    chord.start("a", "b")
    chord.done("a", 1)
    assert [] == chord.sent


def test_a_part_that_returns_twice_sends_nothing_twice(chord: Chord) -> None:
    """It may return again before the chord ends or after."""
    chord.start("a", "b")
    for task_id in "aabb":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


def test_groups_in_the_header_stay_lists(chord: Chord) -> None:
    """The values are nested like the header."""
    chord.start("a", ["b", "c"], "d")
    for task_id in "abcd":
        chord.done(task_id, task_id)
    assert [["a", ["b", "c"], "d"]] == chord.sent


def test_a_task_that_is_in_the_header_twice_counts_once(chord: Chord) -> None:
    """The body gets its value twice."""
    chord.start("a", "a")
    chord.done("a", 1)
    assert [[1, 1]] == chord.sent


def test_none_is_a_value(chord: Chord) -> None:
    chord.start("a")
    chord.done("a", None)
    assert [[None]] == chord.sent


def test_results_that_are_ignored_reach_the_body(chord: Chord) -> None:
    """The task stores no result, but the chord keeps it."""
    chord.start("a", "b")
    chord.done("a", 1, ignore_result=True)
    chord.done("b", 2, task="ignoring")
    assert [[1, 2]] == chord.sent
    assert not chord.backend.task_result_exists("a")


def test_a_size_that_is_set_later_counts(chord: Chord) -> None:
    """Celery knows the size for certain only once the header is sent."""
    chord.start("a", "b")
    chord.backend.set_chord_size("c1", 3)
    chord.backend.set_chord_size("c1", 2)
    for task_id in "ab":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


def test_a_task_added_to_the_chord_is_waited_for(chord: Chord) -> None:
    """Its value comes last."""
    chord.start("a")
    chord.backend.add_to_chord("c1", chord.app.AsyncResult("b"))
    for task_id in "ab":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


@pytest.mark.parametrize("facts", [{"group": None}, {"id": None}])
def test_a_request_outside_of_a_chord_counts_nothing(chord: Chord, facts: dict[str, Any]) -> None:
    """The request may be that of a single task, or empty."""
    chord.start("a")
    request = chord.request("a")
    request.update(facts)
    chord.backend.on_chord_part_return(request, states.SUCCESS, 1)
    assert [] == chord.sent


def test_a_part_of_an_unknown_chord_is_logged(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    """It may return after the chord has ended."""
    with caplog.at_level("INFO"):
        chord.done("a", 1)
    assert "finished or was never started" in caplog.text


# -- Failures ------------------------------------------------------------------------


def test_a_failure_in_the_header_fails_the_body(chord: Chord) -> None:
    """The error names the task that failed, and why."""
    chord.start("a", "b")
    chord.failed("a", ValueError("bad"))
    chord.done("b", 1)
    assert "Dependency a raised ValueError('bad')" == body_error(chord)
    assert [] == chord.sent


def test_the_first_failure_in_the_headers_order_is_named(chord: Chord) -> None:
    """The order in which the tasks failed does not matter."""
    chord.start("a", "b")
    chord.failed("b", ValueError("second"))
    chord.failed("a", ValueError("first"))
    assert "Dependency a raised ValueError('first')" == body_error(chord)


def test_a_failure_that_is_ignored_fails_the_body_too(chord: Chord) -> None:
    """The part carries the failure."""
    chord.start("a")
    request = chord.request("a", task="ignoring")
    chord.backend.mark_as_failure("a", KeyError("bad"), request=request, store_result=False)
    assert "Dependency a raised KeyError('bad')" == body_error(chord)


def test_a_result_that_is_gone_fails_the_body(chord: Chord) -> None:
    """The chord waits for it as long as Celery's ``result_chord_join_timeout`` allows."""
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    chord.done("b", 2)
    assert "Dependency a no longer has a result (1 in all)" in body_error(chord)


def test_a_result_that_cannot_be_read_fails_the_body(chord: Chord) -> None:
    """Otherwise the chord would hang."""
    chord.start("a", "b")
    chord.done("a", 1)
    TaskResult.objects.filter(task_id="a").update(result="{")
    if "cache" in chord.backend.storage_name:
        caches["default"].set("celery-task-meta-a", "no result")
    chord.done("b", 2)
    assert "Dependency a raised ResultUnreadable" in body_error(chord)


def test_a_failed_chord_is_forgotten(chord: Chord) -> None:
    """The cleanup does not have to finish it."""
    chord.start("a")
    chord.failed("a", ValueError())
    assert not ChordCounter.objects.exists()
    assert None is caches["default"].get("chord-unlock-c1")


def test_the_log_names_the_task_that_failed_but_not_its_error(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    """The error may be a secret for which a site encrypts its results."""
    chord.start("a")
    chord.failed("a", ValueError("secret"))
    assert "Chord c1 failed: its task a ended as FAILURE" in caplog.text
    assert "secret" not in caplog.text


def test_a_body_that_cannot_be_sent_fails(chord: Chord, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker may be away, for example."""

    def refuse(*_: Any, **options: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(chord.app.tasks["body"], "apply_async", refuse)
    chord.start("a")
    chord.done("a", 1)
    assert "Callback error: ConnectionError('no broker')" == body_error(chord)


def test_a_part_that_cannot_be_decoded_fails_the_body(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin may raise any error."""

    def fail(*_: Any) -> None:
        raise HookError("broken plugin")

    chord.start("a")
    monkeypatch.setattr(chord.backend.results, "decode", fail)
    chord.backend.on_chord_part_return(
        chord.request("a", ignore_result=True), states.SUCCESS, "value"
    )
    monkeypatch.undo()
    assert "Join error: HookError('broken plugin')" == body_error(chord)


def test_a_body_is_sent_even_if_its_chord_cannot_be_deleted(
    chord: Chord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The part does not fail."""
    persist = chord.backend.results.call

    def fail(hook: str, **arguments: Any) -> Any:
        if hook == "finish_chord":
            raise ConnectionError("lost")
        return persist(hook, **arguments)

    monkeypatch.setattr(chord.backend.results, "call", fail)
    chord.start("a")
    chord.done("a", 1)
    assert [[1]] == chord.sent
    assert "could not be deleted" in caplog.text


def test_a_chord_is_kept_until_its_body_was_sent(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the worker dies while it sends the body, another one can finish the chord."""

    class Killed(BaseException):
        """An exception that no handler catches."""

    body, deaths = chord.app.tasks["body"], [1]
    send = body.apply_async

    def die_once(*args: Any, **options: Any) -> Any:
        if deaths:
            deaths.pop()
            raise Killed
        return send(*args, **options)

    monkeypatch.setattr(body, "apply_async", die_once)
    chord.start("a")
    with pytest.raises(Killed):
        chord.done("a", 1)
    ChordCounter.objects.update(date_claimed=None)
    caches["default"].delete("chord-unlock-c1.claim")
    chord.done("a", 1)
    assert [[1]] == chord.sent


def test_a_result_that_comes_late_is_waited_for(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chord that 2.6 miscounted may end before its results are stored."""
    chord.app.conf.result_chord_join_timeout = 5
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    monkeypatch.setattr("time.sleep", lambda _seconds: chord.backend.mark_as_done("a", 1))
    chord.done("b", 2)
    assert [[1, 2]] == chord.sent


def test_a_result_that_is_not_final_is_not_a_value(chord: Chord) -> None:
    """The task may have been sent again, for example."""
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    chord.backend.mark_as_started("a")
    chord.done("b", 2)
    assert "Dependency a no longer has a result" in body_error(chord)


def test_a_storages_part_need_not_bring_contents(chord: Chord) -> None:
    """Only the state in which the task ended is known then."""
    part = ChordPart(group_id="c1", task_id="a", status=states.FAILURE)
    header = [[["a", None], None]]
    progress = ChordProgress(group_id="c1", waiting=0, claimed=True, results=header, parts=[part])
    chord.backend.chords.send_body(chord.body, progress)
    assert "Dependency a raised None" == body_error(chord)
