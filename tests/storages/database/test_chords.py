"""Chords under way in the database: counted once, claimed once."""

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
    """The chords where the routers write."""
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
    """The last one claims the body."""
    start(chords, "a", "b", "c")
    progress = [returned(chords, one) for one in "abc"]
    assert [(None, False), (None, False), (0, True)] == [
        (one.waiting, one.claimed) for one in progress
    ]


def test_the_claim_comes_with_the_header(chords: DatabaseChords) -> None:
    """As it was given."""
    start(chords, "a")
    assert results("a") == returned(chords, "a").results


def test_a_part_counts_once(chords: DatabaseChords) -> None:
    """However often it is redelivered."""
    start(chords, "a", "b")
    assert [None, 1, 1] == [returned(chords, "a").waiting for _ in range(3)]


def test_the_body_is_claimed_once(chords: DatabaseChords) -> None:
    """A part that returns again gets no claim."""
    start(chords, "a")
    assert [True, False] == [returned(chords, "a").claimed for _ in range(2)]


def test_a_claim_that_led_to_nothing_is_given_again(chords: DatabaseChords) -> None:
    """Its worker died."""
    start(chords, "a")
    returned(chords, "a")
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=5))
    assert returned(chords, "a").claimed


def test_only_a_claim_after_another_says_so(chords: DatabaseChords) -> None:
    """Whoever had the first one may have sent the body."""
    start(chords, "a")
    first = returned(chords, "a")
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=5))
    assert [False, True] == [first.reclaimed, returned(chords, "a").reclaimed]


def test_a_claim_lapses_when_the_settings_say(chords: DatabaseChords, settings: Settings) -> None:
    """In seconds, here."""
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
    """To the one who asks again, and to nobody else."""
    start(chords, "a")
    claimants = ["me", "you", None, "me"]
    claims = [returned(chords, "a", claimant=one).claimed for one in claimants]
    assert [True, False, False, True] == claims


def test_a_claim_is_taken_back_with_what_failed(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call may be repeated, and has to get the claim then."""
    start(chords, "a")

    def lost(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(chords, "_parts_with_contents", lost)
    with pytest.raises(OperationalError):
        returned(chords, "a")
    monkeypatch.undo()
    assert returned(chords, "a").claimed


def test_parts_may_bring_their_contents(chords: DatabaseChords) -> None:
    """For tasks that keep no result."""
    start(chords, "a", "b")
    returned(chords, "a", contents=CONTENTS, group_index=0)
    expected = ChordPart(
        group_id="c1", task_id="a", status=states.SUCCESS, group_index=0, contents=CONTENTS
    )
    assert [expected] == returned(chords, "b").parts


def test_an_unknown_chord_has_no_progress(chords: DatabaseChords) -> None:
    """It is finished, or never was."""
    part = ChordPart(group_id="none", task_id="a", status=states.SUCCESS)
    assert None is chords.part_returned(part)


def test_a_chord_that_is_known_stays(chords: DatabaseChords) -> None:
    """Applied again, it goes on counting."""
    assert start(chords, "a", "b")
    returned(chords, "a")
    assert not start(chords, "a", "b")
    assert returned(chords, "b").claimed


def test_a_finished_chord_is_forgotten(chords: DatabaseChords) -> None:
    """With its parts, and a second time nothing happens."""
    start(chords, "a")
    returned(chords, "a")
    assert [True, False] == [chords.finish("c1"), chords.finish("c1")]
    assert not PartModel.objects.exists()


@pytest.mark.parametrize(("size", "waiting"), [(3, 2), (2, 2), (5, 4)])
def test_a_size_is_corrected(chords: DatabaseChords, size: int, waiting: int) -> None:
    """Also when parts are in already; never below the results that it waits for."""
    start(chords, "a", "b", "c")
    returned(chords, "a")
    assert (size != 3) == chords.resize("c1", size, ())
    assert waiting == ChordCounter.objects.get().count


def test_added_results_make_the_chord_longer(chords: DatabaseChords) -> None:
    """And are joined with the others."""
    start(chords, "a")
    chords.resize("c1", None, results("b"))
    assert [None, 0] == [returned(chords, one).waiting for one in "ab"]
    assert results("a", "b") == json.loads(ChordCounter.objects.get().sub_tasks)


@pytest.mark.parametrize(("size", "added"), [(2, ()), (None, results("b"))])
def test_an_unknown_chord_is_not_resized(
    chords: DatabaseChords, size: int | None, added: Any
) -> None:
    """It may have finished meanwhile."""
    assert not chords.resize("none", size, added)


def test_a_chord_deleted_while_it_is_resized(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changed."""
    monkeypatch.setattr(chords, "_has_other_size", lambda *_: True)
    assert not chords.resize("none", 2, ())


def test_a_chord_that_2_6_began_goes_on(chords: DatabaseChords) -> None:
    """Its counter has no size, and its parts are unknown."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a", "b")), count=1)
    assert returned(chords, "b").claimed


def test_a_chord_that_2_6_began_can_be_resized(chords: DatabaseChords) -> None:
    """From what it counts."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a", "b")), count=2)
    assert chords.resize("c1", 3, ())
    assert (3, 3) == ChordCounter.objects.values_list("count", "size").get()


def test_a_count_never_gets_negative(chords: DatabaseChords) -> None:
    """A chord that 2.6 miscounted."""
    ChordCounter.objects.create(group_id="c1", sub_tasks="[]", count=0)
    assert 0 == returned(chords, "a").waiting


def test_chords_that_were_given_up_expire(
    chords: DatabaseChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few at a time, with their parts."""
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
    """It deletes a counter and knows nothing of its parts."""
    start(chords, "a", "b")
    returned(chords, "a")
    ChordCounter.objects.filter(group_id="c1")._raw_delete("default")
    PartModel.objects.update(date_created=datetime.now(timezone.utc) - timedelta(hours=2))
    assert 1 == chords.expire(datetime.now(timezone.utc) - timedelta(hours=1))
    assert 0 == PartModel.objects.count()


# -- What is under way ---------------------------------------------------------------


def test_chords_are_listed_with_all_that_is_known(chords: DatabaseChords) -> None:
    """The parts that are in, and the body."""
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
    """Two queries each, oldest first; what is finished meanwhile does no harm."""
    monkeypatch.setattr("django_celery_results.storages.database.chords.CHORDS_PER_PAGE", 2)
    for one in range(5):
        chords.start(ChordRecord(group_id=f"c{one}", size=1, results=results("a")))
    found = []
    for chord in chords.unfinished():
        found.append(chord.group_id)
        chords.finish(chord.group_id)
    assert [f"c{one}" for one in range(5)] == found


def test_a_chord_of_2_6_is_listed_without_its_body(chords: DatabaseChords) -> None:
    """It never stored one."""
    ChordCounter.objects.create(group_id="c1", sub_tasks=json.dumps(results("a")), count=1)
    assert [None] == [chord.body for chord in chords.unfinished()]


def test_a_chord_that_cannot_be_read_is_passed_over(
    chords: DatabaseChords, caplog: pytest.LogCaptureFixture
) -> None:
    """And named in the log."""
    ChordCounter.objects.create(group_id="broken", sub_tasks="{", count=1)
    start(chords, "a")
    assert ["c1"] == [chord.group_id for chord in chords.unfinished()]
    assert "chord broken cannot be read" in caplog.text


# -- Several processes ---------------------------------------------------------------


@pytest.mark.races
@COMMITTED
def test_parts_returned_by_four_processes_at_once(chords: DatabaseChords) -> None:
    """Each part by each process, twice: one claim."""
    ids = [f"t{one}" for one in range(15)]
    start(chords, *ids)
    assert 1 == sum(at_once(4, return_parts, "django-db", "c1", ids))
    assert 15 == PartModel.objects.count()


@pytest.mark.races
@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("isolation", ISOLATIONS)
@COMMITTED
def test_a_long_chord_finished_by_eight_processes(
    chords: DatabaseChords, isolation: str | None, stores: bool
) -> None:
    """Every part is delivered twice: one claim, no error, and nothing is counted twice."""
    ids = [f"t{one}" for one in range(2000)]
    start(chords, *ids)
    assert 1 == sum(at_once(8, return_deliveries, 8, "c1", ids, isolation, stores))
    assert (0, 2000) == (ChordCounter.objects.get().count, PartModel.objects.count())
    assert 2000 * stores == TaskResult.objects.filter(status="SUCCESS").count()


@pytest.mark.races
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("stores", [False, True])
@COMMITTED
def test_chords_side_by_side(chords: DatabaseChords, stores: bool) -> None:
    """Short ones that four processes finish at one time: no deadlock for the gaps between."""
    for one in range(100):
        header = results(*(f"{one}-{part}" for part in range(4)))
        chords.start(ChordRecord(group_id=f"c{one}", size=4, results=header))
    assert 100 == sum(at_once(4, return_side_by_side, 100, ISOLATIONS[-1], stores))
    assert 400 == PartModel.objects.count()


@pytest.mark.races
@COMMITTED
def test_a_chord_applied_by_four_processes_at_once() -> None:
    """It is one chord."""
    at_once(4, apply_chord, "django-db", "c1", ["a", "b"])
    assert 2 == ChordCounter.objects.get().count


@pytest.mark.races
@COMMITTED
def test_parts_added_by_four_processes_at_once(chords: DatabaseChords) -> None:
    """None is lost."""
    start(chords, "a")
    at_once(4, add_parts, "django-db", "c1", 10)
    counter = ChordCounter.objects.get()
    assert (41, 41, 41) == (counter.count, counter.size, len(json.loads(counter.sub_tasks)))
