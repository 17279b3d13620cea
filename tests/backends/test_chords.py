"""Chords without polling: the header joined from what is stored, the body sent once.

The body runs where it is sent (``task_always_eager``), so that its arguments can be seen.
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
    """Return why the body failed."""
    result = chord.app.AsyncResult("body-id")
    assert states.FAILURE == result.state
    assert isinstance(result.result, ChordError)
    return str(result.result)


def test_the_body_gets_the_values_in_order(chord: Chord) -> None:
    """Not in that in which they came."""
    chord.start("a", "b", "c")
    for task_id in "cab":
        chord.done(task_id, task_id.upper())
    assert [["A", "B", "C"]] == chord.sent


def test_the_body_waits_for_the_last_part(chord: Chord) -> None:
    """And is not sent before."""
    chord.start("a", "b")
    chord.done("a", 1)
    assert [] == chord.sent


def test_a_part_that_returns_twice_sends_nothing_twice(chord: Chord) -> None:
    """Neither before the end nor after it."""
    chord.start("a", "b")
    for task_id in "aabb":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


def test_groups_in_the_header_stay_lists(chord: Chord) -> None:
    """The values are nested as the header is."""
    chord.start("a", ["b", "c"], "d")
    for task_id in "abcd":
        chord.done(task_id, task_id)
    assert [["a", ["b", "c"], "d"]] == chord.sent


def test_a_task_that_is_in_the_header_twice_counts_once(chord: Chord) -> None:
    """Its value comes twice."""
    chord.start("a", "a")
    chord.done("a", 1)
    assert [[1, 1]] == chord.sent


def test_none_is_a_value(chord: Chord) -> None:
    """Like any other."""
    chord.start("a")
    chord.done("a", None)
    assert [[None]] == chord.sent


def test_results_that_are_ignored_reach_the_body(chord: Chord) -> None:
    """The task keeps none, the chord does."""
    chord.start("a", "b")
    chord.done("a", 1, ignore_result=True)
    chord.done("b", 2, task="ignoring")
    assert [[1, 2]] == chord.sent
    assert not chord.backend.task_result_exists("a")


def test_a_size_said_later_counts(chord: Chord) -> None:
    """Celery knows it for sure once the header is sent."""
    chord.start("a", "b")
    chord.backend.set_chord_size("c1", 3)
    chord.backend.set_chord_size("c1", 2)
    for task_id in "ab":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


def test_a_task_added_to_the_chord_is_waited_for(chord: Chord) -> None:
    """And its value comes last."""
    chord.start("a")
    chord.backend.add_to_chord("c1", chord.app.AsyncResult("b"))
    for task_id in "ab":
        chord.done(task_id, task_id)
    assert [["a", "b"]] == chord.sent


@pytest.mark.parametrize("facts", [{"group": None}, {"id": None}])
def test_what_belongs_to_no_chord_counts_for_none(chord: Chord, facts: dict[str, Any]) -> None:
    """A task alone, or no task."""
    chord.start("a")
    request = chord.request("a")
    request.update(facts)
    chord.backend.on_chord_part_return(request, states.SUCCESS, 1)
    assert [] == chord.sent


def test_a_part_of_an_unknown_chord_is_logged(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    """It may come late."""
    with caplog.at_level("INFO"):
        chord.done("a", 1)
    assert "finished or was never started" in caplog.text


# -- Failures ------------------------------------------------------------------------


def test_a_failure_in_the_header_fails_the_body(chord: Chord) -> None:
    """With the task that failed, and why."""
    chord.start("a", "b")
    chord.failed("a", ValueError("bad"))
    chord.done("b", 1)
    assert "Dependency a raised ValueError('bad')" == body_error(chord)
    assert [] == chord.sent


def test_the_first_failure_in_the_headers_order_is_named(chord: Chord) -> None:
    """Whichever came first."""
    chord.start("a", "b")
    chord.failed("b", ValueError("second"))
    chord.failed("a", ValueError("first"))
    assert "Dependency a raised ValueError('first')" == body_error(chord)


def test_a_failure_that_is_ignored_fails_the_body_too(chord: Chord) -> None:
    """The part brings it."""
    chord.start("a")
    request = chord.request("a", task="ignoring")
    chord.backend.mark_as_failure("a", KeyError("bad"), request=request, store_result=False)
    assert "Dependency a raised KeyError('bad')" == body_error(chord)


def test_a_result_that_is_gone_fails_the_body(chord: Chord) -> None:
    """After the time that Celery's setting gives."""
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    chord.done("b", 2)
    assert "Dependency a no longer has a result (1 in all)" in body_error(chord)


def test_a_result_that_cannot_be_read_fails_the_body(chord: Chord) -> None:
    """The chord does not hang."""
    chord.start("a", "b")
    chord.done("a", 1)
    TaskResult.objects.filter(task_id="a").update(result="{")
    if "cache" in chord.backend.storage_name:
        caches["default"].set("celery-task-meta-a", "no result")
    chord.done("b", 2)
    assert "Dependency a raised ResultUnreadable" in body_error(chord)


def test_a_failed_chord_is_forgotten(chord: Chord) -> None:
    """Nobody has to finish it."""
    chord.start("a")
    chord.failed("a", ValueError())
    assert not ChordCounter.objects.exists()
    assert None is caches["default"].get("chord-unlock-c1")


def test_log_names_the_task_that_failed_and_not_what_it_raised(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    """That may be a secret, of which the results are kept encrypted."""
    chord.start("a")
    chord.failed("a", ValueError("secret"))
    assert "Chord c1 failed: its task a ended as FAILURE" in caplog.text
    assert "secret" not in caplog.text


def test_a_body_that_cannot_be_sent_fails(chord: Chord, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is away, say."""

    def refuse(*_: Any, **options: Any) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(chord.app.tasks["body"], "apply_async", refuse)
    chord.start("a")
    chord.done("a", 1)
    assert "Callback error: ConnectionError('no broker')" == body_error(chord)


def test_a_part_that_cannot_be_decoded_fails_the_body(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the plugin raised."""

    def fail(*_: Any) -> None:
        raise HookError("broken plugin")

    chord.start("a")
    monkeypatch.setattr(chord.backend.results, "decode", fail)
    chord.backend.on_chord_part_return(
        chord.request("a", ignore_result=True), states.SUCCESS, "value"
    )
    monkeypatch.undo()
    assert "Join error: HookError('broken plugin')" == body_error(chord)


def test_a_chord_that_cannot_be_forgotten_was_sent_all_the_same(
    chord: Chord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The part does not fail for it."""
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
    """A worker that dies while it sends leaves it to be finished."""

    class Killed(BaseException):
        """What no handler catches."""

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
    """A chord that 2.6 miscounted may be ahead of its results."""
    chord.app.conf.result_chord_join_timeout = 5
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    monkeypatch.setattr("time.sleep", lambda _seconds: chord.backend.mark_as_done("a", 1))
    chord.done("b", 2)
    assert [[1, 2]] == chord.sent


def test_a_result_that_is_not_final_is_no_value(chord: Chord) -> None:
    """The task was sent again, say."""
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.forget("a")
    chord.backend.mark_as_started("a")
    chord.done("b", 2)
    assert "Dependency a no longer has a result" in body_error(chord)


def test_a_storages_part_need_not_bring_contents(chord: Chord) -> None:
    """Then nothing is known but how the task ended."""
    part = ChordPart(group_id="c1", task_id="a", status=states.FAILURE)
    header = [[["a", None], None]]
    progress = ChordProgress(group_id="c1", waiting=0, claimed=True, results=header, parts=[part])
    chord.backend.chords.send_body(chord.body, progress)
    assert "Dependency a raised None" == body_error(chord)
