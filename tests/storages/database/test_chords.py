"""Chords under way in the database: each part counts once, and one caller gets the claim."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import OperationalError

from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.models import ChordPart as PartModel
from django_celery_results.records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Contents,
    UnfinishedChord,
)
from django_celery_results.storages.database.chords import DatabaseChords
from tests import settings as test_settings
from tests.processes import (
    add_parts,
    apply_chord,
    at_once,
    return_deliveries,
    return_parts,
    return_side_by_side,
)

if TYPE_CHECKING:
    from pytest_django import Settings

COMMITTED = pytest.mark.django_db(transaction=True)

#: Django's own level; on MariaDB also the server's, which locks gaps between rows.
ISOLATIONS = [None, *(["repeatable read"] if test_settings.DATABASE == "mariadb" else [])]

pytestmark = pytest.mark.django_db

CONTENTS = Contents(
    fields={"result": "5"}, content_type="application/json", content_encoding="utf-8"
)


def results(*task_ids: str) -> list[Any]:
    """Return the tuples of a header's results."""
    return [[[task_id, None], None] for task_id in task_ids]


@pytest.fixture
def chords() -> DatabaseChords:
    """The chords in the database that the routers choose for writes."""
    return DatabaseChords(None)


def start(chords: DatabaseChords, *task_ids: str) -> bool:
    """Start the chord ``c1``."""
    header = results(*task_ids)
    return chords.start(ChordRecord(group_id="c1", size=len(task_ids), results=header))


def returned(chords: DatabaseChords, task_id: str, **facts: Any) -> ChordProgress:
    """Return one part of ``c1``."""
    part = ChordPart(**{"group_id": "c1", "task_id": task_id, "status": states.SUCCESS, **facts})
    progress = chords.part_returned(part)
    assert progress is not None
    return progress


def test_parts_are_counted_down(chords: DatabaseChords) -> None:
    """The last part claims the body."""
    start(chords, "a", "b", "c")
    progress = [returned(chords, one) for one in "abc"]
    assert [(None, False), (None, False), (0, True)] == [
        (one.waiting, one.claimed) for one in progress
    ]


def test_the_claim_comes_with_the_header(chords: DatabaseChords) -> None:
    start(chords, "a")
    assert results("a") == returned(chords, "a").results


def test_a_part_counts_once(chords: DatabaseChords) -> None:
    """It may be redelivered any number of times."""
    start(chords, "a", "b")
    assert [None, 1, 1] == [returned(chords, "a").waiting for _ in range(3)]


def test_the_body_is_claimed_once(chords: DatabaseChords) -> None:
    """A part that returns again does not get a claim."""
    start(chords, "a")
    assert [True, False] == [returned(chords, "a").claimed for _ in range(2)]


def test_a_claim_that_led_to_nothing_is_given_again(chords: DatabaseChords) -> None:
    """The worker that held it died."""
    start(chords, "a")
    returned(chords, "a")
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=5))
    assert returned(chords, "a").claimed


def test_only_a_second_claim_is_marked_as_reclaimed(chords: DatabaseChords) -> None:
    """The worker with the first claim may have sent the body."""
    start(chords, "a")
    first = returned(chords, "a")
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=5))
    assert [False, True] == [first.reclaimed, returned(chords, "a").reclaimed]


def test_a_claim_lapses_when_the_settings_say(chords: DatabaseChords, settings: Settings) -> None:
    """``CHORD_CLAIM_TIMEOUT`` is in seconds."""
    settings.DJANGO_CELERY_RESULTS = {"CHORD_CLAIM_TIMEOUT": 60}
    start(chords, "a")
    returned(chords, "a")
    ages = [timedelta(seconds=seconds) for seconds in (55, 60)]
    claims = []
    for age in ages:
        ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - age)
        claims.append(returned(chords, "a").claimed)
    assert [False, True] == claims


def test_a_claim_whose_answer_was_lost_is_given_again(chords: DatabaseChords) -> None:
    """Only the same claimant gets it again."""
    start(chords, "a")
    claimants = ["me", "you", None, "me"]
    claims = [returned(chords, "a", claimant=one).claimed for one in claimants]
    assert [True, False, False, True] == claims


def test_a_claim_is_rolled_back_after_an_error(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call may be retried, and must get the claim then."""
    start(chords, "a")

    def lost(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(chords, "_parts_with_contents", lost)
    with pytest.raises(OperationalError):
        returned(chords, "a")
    monkeypatch.undo()
    assert returned(chords, "a").claimed


def test_parts_may_bring_their_contents(chords: DatabaseChords) -> None:
    """This is for tasks that ignore their results."""
    start(chords, "a", "b")
    returned(chords, "a", contents=CONTENTS, group_index=0)
    expected = ChordPart(
        group_id="c1", task_id="a", status=states.SUCCESS, group_index=0, contents=CONTENTS
    )
    assert [expected] == returned(chords, "b").parts


def test_an_unknown_chord_has_no_progress(chords: DatabaseChords) -> None:
    """It has finished, or never existed."""
    part = ChordPart(group_id="none", task_id="a", status=states.SUCCESS)
    assert None is chords.part_returned(part)


def test_a_chord_that_is_known_stays(chords: DatabaseChords) -> None:
    """If the chord is applied again, it goes on counting."""
    assert start(chords, "a", "b")
    returned(chords, "a")
    assert not start(chords, "a", "b")
    assert returned(chords, "b").claimed


def test_a_finished_chord_is_forgotten(chords: DatabaseChords) -> None:
    """Its parts go with it, and a second call does nothing."""
    start(chords, "a")
    returned(chords, "a")
    assert [True, False] == [chords.finish("c1"), chords.finish("c1")]
    assert not PartModel.objects.exists()


@pytest.mark.parametrize(("size", "waiting"), [(3, 2), (2, 2), (5, 4)])
def test_a_size_is_corrected(chords: DatabaseChords, size: int, waiting: int) -> None:
    """It may change after parts were counted, but never below the number of known results."""
    start(chords, "a", "b", "c")
    returned(chords, "a")
    assert (size != 3) == chords.resize("c1", size, ())
    assert waiting == ChordCounter.objects.get().count


def test_added_results_make_the_chord_longer(chords: DatabaseChords) -> None:
    """They are joined with the others."""
    start(chords, "a")
    chords.resize("c1", None, results("b"))
    assert [None, 0] == [returned(chords, one).waiting for one in "ab"]
    assert results("a", "b") == json.loads(ChordCounter.objects.get().sub_tasks)


@pytest.mark.parametrize(("size", "added"), [(2, ()), (None, results("b"))])
def test_an_unknown_chord_is_not_resized(
    chords: DatabaseChords, size: int | None, added: Any
) -> None:
    """It may have finished."""
    assert not chords.resize("none", size, added)


def test_a_chord_that_2_6_began_goes_on(chords: DatabaseChords) -> None:
    """Its counter lacks a size, and its earlier parts are unknown."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a", "b")), count=1)
    assert returned(chords, "b").claimed


def test_a_chord_that_2_6_began_can_be_resized(chords: DatabaseChords) -> None:
    """The change is based on the count."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a", "b")), count=2)
    assert chords.resize("c1", 3, ())
    assert (3, 3) == ChordCounter.objects.values_list("count", "size").get()


def test_a_count_never_gets_negative(chords: DatabaseChords) -> None:
    """2.6 may have miscounted the chord."""
    ChordCounter.objects.create(group_id="c1", sub_tasks="[]", count=0)
    assert 0 == returned(chords, "a").waiting


def test_chords_that_were_given_up_expire(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are deleted a few at a time, with their parts."""
    monkeypatch.setattr("django_celery_results.storages.database.chords.CHORDS_PER_DELETE", 2)
    now = datetime.now(timezone.utc)
    for one in range(5):
        chords.start(ChordRecord(group_id=f"old{one}", size=1, results=results("a")))
        chords.part_returned(ChordPart(group_id=f"old{one}", task_id="a", status=states.SUCCESS))
    ChordCounter.objects.update(date_created=now - timedelta(hours=2))
    start(chords, "a")
    assert 10 == chords.expire(now - timedelta(hours=1))
    assert ("c1", 0) == (ChordCounter.objects.get().group_id, PartModel.objects.count())


def test_parts_that_a_worker_of_2_6_left_behind_expire(chords: DatabaseChords) -> None:
    """Such a worker deletes the counter but does not know its parts."""
    start(chords, "a", "b")
    returned(chords, "a")
    ChordCounter.objects.filter(group_id="c1")._raw_delete("default")
    PartModel.objects.update(date_created=datetime.now(timezone.utc) - timedelta(hours=2))
    assert 1 == chords.expire(datetime.now(timezone.utc) - timedelta(hours=1))
    assert 0 == PartModel.objects.count()


# -- What is under way ---------------------------------------------------------------


def test_chords_are_listed_with_all_that_is_known(chords: DatabaseChords) -> None:
    """This includes the ids of the counted parts, and the body."""
    body = Contents(fields={"body": "{}"}, content_type="text/x", content_encoding="utf-8")
    chords.start(ChordRecord(group_id="c1", size=2, results=results("a", "b"), body=body))
    returned(chords, "a")
    counter = ChordCounter.objects.get()
    expected = UnfinishedChord(
        group_id="c1",
        results=results("a", "b"),
        counted=["a"],
        waiting=1,
        body=body,
        date_created=counter.date_created,
    )
    assert [expected] == list(chords.unfinished())


def test_chords_are_listed_in_pages(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest come first, and chords that finish meanwhile do no harm."""
    monkeypatch.setattr("django_celery_results.storages.database.chords.CHORDS_PER_PAGE", 2)
    for one in range(5):
        chords.start(ChordRecord(group_id=f"c{one}", size=1, results=results("a")))
    found = []
    for chord in chords.unfinished():
        found.append(chord.group_id)
        chords.finish(chord.group_id)
    assert [f"c{one}" for one in range(5)] == found


def test_a_chord_of_2_6_is_listed_without_its_body(chords: DatabaseChords) -> None:
    """2.6 never stored one."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a")), count=1)
    assert [None] == [chord.body for chord in chords.unfinished()]


def test_a_chord_that_cannot_be_read_is_passed_over(
    chords: DatabaseChords, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names it."""
    ChordCounter.objects.create(group_id="broken", sub_tasks="{", count=1)
    start(chords, "a")
    assert ["c1"] == [chord.group_id for chord in chords.unfinished()]
    assert "chord broken cannot be read" in caplog.text


# -- Several processes ---------------------------------------------------------------


@pytest.mark.races
@COMMITTED
def test_parts_returned_by_four_processes_at_once_count_once(chords: DatabaseChords) -> None:
    """Each process returns each part twice, and one of them gets the claim."""
    ids = [f"t{one}" for one in range(15)]
    start(chords, *ids)
    assert 1 == sum(at_once(4, return_parts, "django-db", "c1", ids))
    assert 15 == PartModel.objects.count()


@pytest.mark.races
@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("isolation", ISOLATIONS)
@COMMITTED
def test_a_long_chord_finished_by_eight_processes_is_claimed_once(
    chords: DatabaseChords, isolation: str | None, stores: bool
) -> None:
    """Every part is delivered twice."""
    ids = [f"t{one}" for one in range(2000)]
    start(chords, *ids)
    assert 1 == sum(at_once(8, return_deliveries, 8, "c1", ids, isolation, stores))
    assert (0, 2000) == (ChordCounter.objects.get().count, PartModel.objects.count())
    assert 2000 * stores == TaskResult.objects.filter(status="SUCCESS").count()


@pytest.mark.races
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("stores", [False, True])
@COMMITTED
def test_chords_side_by_side_do_not_deadlock(chords: DatabaseChords, stores: bool) -> None:
    """MariaDB locks the gaps between the rows of short chords that end at the same time."""
    for one in range(100):
        header = results(*(f"{one}-{part}" for part in range(4)))
        chords.start(ChordRecord(group_id=f"c{one}", size=4, results=header))
    assert 100 == sum(at_once(4, return_side_by_side, 100, ISOLATIONS[-1], stores))
    assert 400 == PartModel.objects.count()


@pytest.mark.races
@COMMITTED
def test_a_chord_applied_by_four_processes_at_once_is_one_chord() -> None:
    at_once(4, apply_chord, "django-db", "c1", ["a", "b"])
    assert 2 == ChordCounter.objects.get().count


@pytest.mark.races
@COMMITTED
def test_parts_added_by_four_processes_at_once_all_count(chords: DatabaseChords) -> None:
    start(chords, "a")
    at_once(4, add_parts, "django-db", "c1", 10)
    counter = ChordCounter.objects.get()
    assert (41, 41, 41) == (counter.count, counter.size, len(json.loads(counter.sub_tasks)))
