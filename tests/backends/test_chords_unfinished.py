"""Chords whose last worker died: they are found, counted to the end and finished once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import TYPE_CHECKING, Any

import celery
import pytest
from celery import chain, group, states
from django.core.management import call_command

from django_celery_results.backends.translation import leaf_signatures
from django_celery_results.models import ChordCounter, GroupResult, TaskResult
from django_celery_results.records import ChordPart

from .common import Chord

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


@pytest.fixture
def chord(make_backend: MakeBackend) -> Chord:
    """A chord in the database."""
    conf = {"task_always_eager": True, "task_store_eager_result": True}
    return Chord(make_backend(result_chord_join_timeout=0.05, **conf))


def store(chord: Chord, task_id: str, value: Any) -> None:
    """Store a result like a worker that dies before it returns the part."""
    chord.backend.store_result(task_id, value, states.SUCCESS)


def claim(chord: Chord, task_id: str, age: timedelta) -> None:
    """Return a part and let a worker claim the body and die, ``age`` ago."""
    part = ChordPart(group_id="c1", task_id=task_id, status=states.SUCCESS, claimant="dead")
    chord.backend.hooks.call("chord_part_returned", storage=chord.backend.storage, part=part)
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - age)


def test_parts_that_were_stored_and_not_counted_are_counted(chord: Chord) -> None:
    """Their workers died between the two steps; the body is sent."""
    chord.start("a", ["b", "c"])
    chord.done("a", 1)
    store(chord, "b", 2)
    store(chord, "c", 3)
    assert 1 == chord.backend.chords.finish_all()
    assert [[1, [2, 3]]] == chord.sent
    assert not ChordCounter.objects.exists()


def test_a_failure_that_was_not_counted_fails_the_body(chord: Chord) -> None:
    """The outcome is the same as if the worker had lived."""
    chord.start("a")
    chord.backend.store_result("a", ValueError("bad"), states.FAILURE)
    assert 1 == chord.backend.chords.finish_all()
    assert "Dependency a raised ValueError('bad')" == str(chord.app.AsyncResult("body-id").result)


def test_the_command_fails_a_body_whose_task_failed_with_a_value(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value is no exception, and the chord ends all the same."""
    monkeypatch.setattr(
        "django_celery_results.management.chords_command.open_backend", lambda _: chord.backend
    )
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.store_result("b", {"reason": 1}, states.FAILURE)
    out = StringIO()
    call_command("celery_results", "chords", "--finish", stdout=out)
    assert "Finished 1 chord." in out.getvalue()
    error = str(chord.app.AsyncResult("body-id").result)
    assert "Dependency b raised TaskFailed({'reason': 1})" == error


def test_a_chord_under_way_is_left_to_its_workers(chord: Chord) -> None:
    """Its ended tasks are counted, and the others are waited for."""
    chord.start("a", "b", "c")
    store(chord, "a", 1)
    chord.backend.mark_as_started("b")
    assert 0 == chord.backend.chords.finish_all()
    assert (2, []) == (ChordCounter.objects.get().count, chord.sent)


def test_a_part_that_was_counted_late_brings_its_result(chord: Chord) -> None:
    """The result may expire before the chord ends, even in the cleanup that counts the part."""
    chord.start("a", "b")
    store(chord, "a", 1)
    chord.backend.chords.finish_all()
    TaskResult.objects.filter(task_id="a").delete()
    chord.done("b", 2)
    assert [[1, 2]] == chord.sent


def test_a_part_that_returns_after_all_counts_once(chord: Chord) -> None:
    """Its worker was slow, not dead."""
    chord.start("a", "b")
    store(chord, "a", 1)
    chord.backend.chords.finish_all()
    for task_id in "ab":
        chord.done(task_id, task_id)
    assert [[1, "b"]] == chord.sent


def test_a_body_whose_claim_lapsed_is_sent(chord: Chord) -> None:
    """The worker that held the claim died before it could send the body."""
    chord.start("a")
    store(chord, "a", 1)
    claim(chord, "a", timedelta(minutes=6))
    assert [1, 0] == [chord.backend.chords.finish_all() for _ in range(2)]
    assert [[1]] == chord.sent


def test_a_body_that_somebody_is_sending_is_not_sent(chord: Chord) -> None:
    """The claim has not expired."""
    chord.start("a")
    store(chord, "a", 1)
    claim(chord, "a", timedelta(minutes=4))
    assert 0 == chord.backend.chords.finish_all()
    assert [] == chord.sent


@pytest.mark.parametrize("state", [states.STARTED, states.SUCCESS, states.FAILURE])
def test_a_body_that_had_been_sent_is_not_sent_again(
    chord: Chord, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker that sent it died before it could delete the chord."""
    chord.start("a")
    store(chord, "a", 1)
    claim(chord, "a", timedelta(minutes=6))
    chord.backend.store_result("body-id", None, state)
    assert 1 == chord.backend.chords.finish_all()
    assert [] == chord.sent
    assert not ChordCounter.objects.exists()
    assert "a worker that died had sent the body already" in caplog.text


@pytest.mark.parametrize(("progress", "sent"), [(None, [[1]]), ({"done": 1}, [])])
def test_a_body_that_is_stored_as_pending_is_sent(chord: Chord, progress: Any, sent: Any) -> None:
    """PENDING does not show whether the body was sent, unless it has a value: then it runs."""
    chord.start("a")
    store(chord, "a", 1)
    claim(chord, "a", timedelta(minutes=6))
    chord.backend.store_result("body-id", progress, states.PENDING)
    chord.backend.chords.finish_all()
    assert sent == chord.sent


def test_a_body_of_several_tasks_was_sent_if_any_of_them_has_a_state(chord: Chord) -> None:
    """Of a chain, only the first task is sent."""
    chord.body = (chord.body.clone().set(task_id="first") | chord.body).clone()
    chord.start("a")
    store(chord, "a", 1)
    claim(chord, "a", timedelta(minutes=6))
    chord.backend.store_result("first", None, states.STARTED)
    chord.backend.chords.finish_all()
    assert [] == chord.sent


def test_the_ids_of_a_canvas_are_stored_with_it(make_backend: MakeBackend) -> None:
    """Celery sets the ids in the body when it sends the header."""
    sent = Chord(make_backend())
    task = sent.app.tasks["body"]
    body = chain(task.s(), group(task.s(), task.s()), app=sent.app)
    result: Any = celery.chord([task.s(1)], body, app=sent.app).apply_async()
    (listed,) = sent.backend.chords.unfinished()
    ids = [
        one["options"]["task_id"] for one in leaf_signatures(sent.backend.chords.body_of(listed))
    ]
    assert 3 == len(set(ids))
    assert {one.id for one in result.results} <= set(ids)


def test_a_chord_that_is_finished_meanwhile_is_let_go(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own worker was faster."""
    chord.start("a")
    listed = list(chord.backend.chords.unfinished())
    chord.done("a", 1)
    monkeypatch.setattr(chord.backend.chords, "unfinished", lambda: listed)
    assert 0 == chord.backend.chords.finish_all()
    assert [[1]] == chord.sent


def test_a_chord_that_counts_nothing_is_left(chord: Chord) -> None:
    """2.6 may have miscounted it: none of its parts is known."""
    chord.start("a")
    ChordCounter.objects.update(count=0)
    assert 0 == chord.backend.chords.finish_all()


def test_an_error_in_one_chord_does_not_stop_the_others(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is logged with the id of the chord."""
    header = [chord.result("a")]
    chord.backend.apply_chord(("broken", header), chord.body)
    ChordCounter.objects.update(body="{")
    chord.start("a")
    store(chord, "a", 1)
    assert 1 == chord.backend.chords.finish_all()
    assert "Chord broken could not be finished" in caplog.text


# -- Bodies that are not known -------------------------------------------------------


def test_a_body_that_cannot_be_stored_is_sent_by_the_last_part(
    chord: Chord, caplog: pytest.LogCaptureFixture
) -> None:
    chord.body = chord.body.clone((object(),))
    with caplog.at_level("INFO"):
        chord.start("a")
    assert "The body of chord c1 cannot be stored" in caplog.text
    assert [None] == list(ChordCounter.objects.values_list("body", flat=True))
    chord.body = chord.app.tasks["body"].s()
    chord.done("a", 1)
    assert [[1]] == chord.sent


@pytest.mark.parametrize("ended", [True, False])
def test_a_body_that_is_not_known_is_reported_once_its_chord_has_ended(
    chord: Chord, caplog: pytest.LogCaptureFixture, ended: bool
) -> None:
    """2.6 did not store bodies; only a part that returns carries the body."""
    chord.start("a", "b")
    ChordCounter.objects.update(body=None, size=None)
    chord.done("a", 1)
    if ended:
        store(chord, "b", 2)
    assert 0 == chord.backend.chords.finish_all()
    assert ended == ("Chord c1 has ended, but its body" in caplog.text)
    chord.done("b", 2)
    assert [[1, 2]] == chord.sent


def test_bodies_are_coded_like_results(make_backend: MakeBackend, registered: Register) -> None:
    """An encrypting plugin thus protects their arguments."""
    registered(CODINGS=["zlib"])
    coded = Chord(make_backend())
    coded.start("a")
    assert "utf-8, application/x-gzip" == ChordCounter.objects.get().content_encoding
    (listed,) = coded.backend.chords.unfinished()
    assert "body" == coded.backend.chords.body_of(listed).task


# -- Celery's cleanup ----------------------------------------------------------------


def test_cleanup_finishes_chords(chord: Chord) -> None:
    """Celery's beat sends the cleanup daily."""
    chord.start("a")
    store(chord, "a", 1)
    chord.backend.cleanup()
    assert [[1]] == chord.sent


def test_chords_are_finished_before_their_results_expire(chord: Chord) -> None:
    """Here both are due."""
    chord.start("a")
    store(chord, "a", 1)
    TaskResult.objects.update(date_done=datetime.now(timezone.utc) - timedelta(days=2))
    chord.backend.cleanup()
    assert [[1]] == chord.sent
    assert not TaskResult.objects.filter(task_id="a").exists()


def test_an_error_in_finishing_chords_does_not_stop_the_expiry(
    chord: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised at the end."""

    def fail() -> None:
        raise ConnectionError("lost")

    monkeypatch.setattr(chord.backend.chords, "unfinished", fail)
    GroupResult.objects.create(group_id="old")
    GroupResult.objects.update(date_done=datetime.now(timezone.utc) - timedelta(days=2))
    with pytest.raises(ConnectionError):
        chord.backend.cleanup()
    assert not GroupResult.objects.exists()


def test_a_storage_that_lists_no_chords_has_none_to_finish(make_backend: MakeBackend) -> None:
    """A cache, for example, cannot list its chords."""
    backend = make_backend("django-cache")
    assert None is backend.chords.unfinished()
    assert 0 == backend.chords.finish_all()
