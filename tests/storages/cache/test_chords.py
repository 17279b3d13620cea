"""Chords under way in a cache: each part counts once, and one caller gets the claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches

from django_celery_results.records import ChordPart, ChordProgress, ChordRecord, Contents, leaf_ids
from django_celery_results.storages.cache import chords as cache_chords
from django_celery_results.storages.cache.chords import CacheChords
from django_celery_results.storages.cache.writes import cache_lock
from tests.processes import add_parts, apply_chord, at_once, return_parts

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache
    from pytest_django import Settings

CONTENTS = Contents(
    fields={"result": "5"}, content_type="application/json", content_encoding="utf-8"
)


def results(*task_ids: str) -> list[Any]:
    """Return the tuples of a header's results."""
    return [[[task_id, None], None] for task_id in task_ids]


def chords_in(alias: str) -> CacheChords:
    """Return the chords of a cache, under Celery's key."""
    return CacheChords(caches[alias], 600, "chord-unlock-{}".format)


@pytest.fixture
def chords(results_cache: str) -> CacheChords:
    """The chords in each cache in turn."""
    return chords_in(results_cache)


def start(chords: CacheChords, *task_ids: str) -> bool:
    """Start the chord ``c1``."""
    header = results(*task_ids)
    return chords.start(ChordRecord(group_id="c1", size=len(task_ids), results=header))


def returned(chords: CacheChords, task_id: str, **facts: Any) -> ChordProgress:
    """Return one part of ``c1``."""
    part = ChordPart(**{"group_id": "c1", "task_id": task_id, "status": states.SUCCESS, **facts})
    progress = chords.part_returned(part)
    assert progress is not None
    return progress


def test_the_last_part_claims_the_body(chords: CacheChords) -> None:
    """The parts may return in any order."""
    start(chords, "a", "b", "c")
    assert [False, False, True] == [returned(chords, one).claimed for one in "cab"]


def test_the_claim_comes_with_the_header(chords: CacheChords) -> None:
    start(chords, "a")
    assert results("a") == returned(chords, "a").results


def test_a_part_counts_once(chords: CacheChords) -> None:
    """It may be redelivered any number of times."""
    start(chords, "a", "b")
    assert [False] * 3 == [returned(chords, "a").claimed for _ in range(3)]
    assert returned(chords, "b").claimed


def test_the_body_is_claimed_once(chords: CacheChords) -> None:
    """A part that returns again does not get a claim."""
    start(chords, "a")
    assert [True, False] == [returned(chords, "a").claimed for _ in range(2)]


def test_a_claim_that_led_to_nothing_is_given_again(chords: CacheChords) -> None:
    """It has expired."""
    start(chords, "a")
    returned(chords, "a")
    chords.cache.delete("chord-unlock-c1.claim")
    assert returned(chords, "a").claimed


def test_only_a_second_claim_is_marked_as_reclaimed(chords: CacheChords) -> None:
    """The worker with the first claim may have sent the body."""
    start(chords, "a")
    first = returned(chords, "a")
    chords.cache.delete("chord-unlock-c1.claim")
    assert [False, True] == [first.reclaimed, returned(chords, "a").reclaimed]


def test_a_claim_whose_answer_was_lost_is_given_again(chords: CacheChords) -> None:
    """Only the same claimant gets it again."""
    start(chords, "a")
    claimants = ["me", "you", None, "me"]
    claims = [returned(chords, "a", claimant=one).claimed for one in claimants]
    assert [True, False, False, True] == claims


def test_a_claim_lapses_when_the_settings_say(
    chords: CacheChords, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time-out is in whole seconds, as caches take it."""
    settings.DJANGO_CELERY_RESULTS = {"CHORD_CLAIM_TIMEOUT": 0.5}
    add, timeouts = chords.cache.add, {}

    def note(key: str, value: Any, timeout: Any) -> bool:
        timeouts[key] = timeout
        return add(key, value, timeout)

    monkeypatch.setattr(chords.cache, "add", note)
    start(chords, "a")
    returned(chords, "a")
    assert 1 == timeouts["chord-unlock-c1.claim"]


def test_a_part_that_was_counted_too_often_claims_nothing(chords: CacheChords) -> None:
    """Its worker died between the two steps of counting."""
    start(chords, "a", "b")
    part = ChordPart(group_id="c1", task_id="a", status=states.SUCCESS)
    returned(chords, "a")
    chords.cache.set("chord-unlock-c1.part.a", (part, False))
    assert not returned(chords, "a").claimed
    assert returned(chords, "b").claimed


def test_parts_may_bring_their_contents(chords: CacheChords) -> None:
    """This is for tasks that ignore their results."""
    start(chords, "a", "b")
    returned(chords, "a", contents=CONTENTS, group_index=0)
    parts = returned(chords, "b").parts
    assert [("a", 0, CONTENTS)] == [(one.task_id, one.group_index, one.contents) for one in parts]


def test_an_unknown_chord_has_no_progress(chords: CacheChords) -> None:
    """It has finished or expired, or never existed."""
    assert None is chords.part_returned(ChordPart(group_id="x", task_id="a", status="SUCCESS"))


def test_a_chord_that_is_known_stays(chords: CacheChords) -> None:
    """If the chord is applied again, it goes on counting."""
    assert start(chords, "a", "b")
    returned(chords, "a")
    assert not start(chords, "a", "b")
    assert returned(chords, "b").claimed


def test_a_finished_chord_is_forgotten(chords: CacheChords) -> None:
    """Its parts go with it, and a second call does nothing."""
    start(chords, "a")
    returned(chords, "a")
    assert [True, False] == [chords.finish("c1"), chords.finish("c1")]
    assert start(chords, "a")
    assert returned(chords, "a").claimed


def test_a_size_is_corrected(chords: CacheChords) -> None:
    """Setting the same size changes nothing."""
    start(chords, "a", "b")
    assert [False, True] == [chords.resize("c1", size, ()) for size in (2, 3)]


def test_added_results_make_the_chord_longer(chords: CacheChords) -> None:
    """They are joined with the others."""
    start(chords, "a")
    assert chords.resize("c1", None, results("b"))
    assert not returned(chords, "a").claimed
    assert ["a", "b"] == leaf_ids(returned(chords, "b").results)


def test_an_unknown_chord_is_not_resized(chords: CacheChords) -> None:
    """It may have finished."""
    assert not chords.resize("none", 2, ())


def test_a_chord_that_finishes_while_it_is_resized_is_not_made_again(
    results_cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chords = chords_in(results_cache)
    start(chords, "a")

    def late(cache: BaseCache, key: str) -> Any:
        chords.finish("c1")
        return cache_lock(cache, key)

    monkeypatch.setattr(cache_chords, "cache_lock", late)
    assert not chords.resize("c1", 2, ())


def test_a_long_header_is_checked_in_chunks(
    chords: CacheChords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check starts at the end, where parts are usually missing last."""
    monkeypatch.setattr(cache_chords, "KEYS_AT_ONCE", 2)
    ids = [f"t{one}" for one in range(7)]
    start(chords, *ids)
    claims = [returned(chords, one, contents=CONTENTS).claimed for one in ids[:-1]]
    assert [False] * 6 == claims
    assert 7 == len(returned(chords, ids[-1], contents=CONTENTS).parts)


@pytest.mark.parametrize(("alias", "counts"), [("redis", True), ("memcached", True)])
def test_shared_caches_count_by_themselves(alias: str, counts: bool) -> None:
    """The ``incr`` of other caches reads and then writes."""
    assert counts == chords_in(alias).counts
    assert not chords_in("database").counts


# -- Several processes ---------------------------------------------------------------


@pytest.mark.races
def test_parts_returned_by_four_processes_at_once_count_once(shared_cache: str) -> None:
    """Each process returns each part twice, and one of them gets the claim."""
    ids = [f"t{one}" for one in range(15)]
    start(chords_in(shared_cache), *ids)
    assert 1 == sum(at_once(4, return_parts, f"django-cache://{shared_cache}", "c1", ids))


@pytest.mark.races
def test_a_chord_applied_by_four_processes_at_once_is_one_chord(shared_cache: str) -> None:
    at_once(4, apply_chord, f"django-cache://{shared_cache}", "c1", ["a", "b"])
    chords = chords_in(shared_cache)
    assert [False, True] == [returned(chords, one).claimed for one in "ab"]


@pytest.mark.races
def test_parts_added_by_four_processes_at_once_all_count(shared_cache: str) -> None:
    start(chords_in(shared_cache), "a")
    at_once(4, add_parts, f"django-cache://{shared_cache}", "c1", 5)
    chord = caches[shared_cache].get("chord-unlock-c1")
    assert (21, 21) == (chord["size"], len(chord["results"]))
