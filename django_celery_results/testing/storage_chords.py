"""The storage suite: chords, which count each distinct part and are claimed once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.app.task import Context

from ..records import ChordProgress, ChordRecord, Contents, StoredPart, UnfinishedChord
from .storage_suite import (
    StorageSuite,
    chord_of,
    group_of,
    part_of,
    results_of,
    task_of,
)

if TYPE_CHECKING:
    from .fixtures import Register

__all__ = ["StorageOfChords"]

#: Claim timeout in seconds in the tests that wait for it: a cache counts whole seconds.
CLAIM_TIMEOUT = 1

IDS = ("one", "two", "three")
BODY = Contents(
    fields={"body": '{"task": "body"}'},
    content_type="application/json",
    content_encoding="utf-8",
)


class StorageOfChords(StorageSuite):
    """The storage counts chords, if it supports them."""

    def start(self, *task_ids: str, **how: Any) -> bool:
        """Start the chord; return the storage's answer."""
        new: bool = self.call("start_chord", chord=chord_of("chord", *task_ids, **how))
        return new

    def returned(self, task_id: str, **facts: Any) -> ChordProgress | None:
        """Let a part return."""
        progress: ChordProgress | None = self.call(
            "chord_part_returned", part=part_of("chord", task_id, **facts)
        )
        return progress

    def claims(self, *task_ids: str) -> list[bool]:
        """Let parts return; return for each whether it got the claim."""
        return [bool(progress and progress.claimed) for progress in map(self.returned, task_ids)]

    def resize(self, size: int | None, *added: str) -> bool:
        """Correct the size, or add parts; return the storage's answer."""
        changed: bool = self.call(
            "resize_chord", group_id="chord", size=size, added=results_of(*added)
        )
        return changed

    # -- Counting ----------------------------------------------------------------------

    def test_last_part_gets_the_claim(self) -> None:
        """With the header's results, in order."""
        self.start(*IDS)

        assert [False, False] == self.claims("two", "one")
        progress = self.returned("three")
        assert progress is not None
        assert ("chord", 0, True) == (progress.group_id, progress.waiting, progress.claimed)
        assert results_of(*IDS) == _as_lists(progress.results)
        assert not progress.reclaimed

    def test_part_counts_once(self) -> None:
        """A part that is delivered again is not counted again."""
        self.start(*IDS)

        claims = self.claims("one", "one", "one", "two", "one")
        assert [False] * 5 == claims, "a part that was delivered again was counted twice"
        assert [True] == self.claims("three")

    def test_failed_part_counts(self) -> None:
        """The body must then receive an error."""
        self.start("one", "two")
        self.returned("one", status=states.FAILURE)

        assert [True] == self.claims("two")

    def test_what_is_still_to_come_is_told_if_it_is_known(self) -> None:
        """``None`` means that there are some, but counting them is too expensive."""
        self.start(*IDS)

        for number, task_id in ((2, "one"), (1, "two")):
            progress = self.returned(task_id)
            assert progress is not None
            assert progress.waiting in {number, None}

    def test_started_chord_stays_as_it_is(self) -> None:
        """Starting it again changes neither its size nor what has returned."""
        assert self.start("one", "two") is True
        self.returned("one")

        assert self.start(*IDS) is False
        assert [True] == self.claims("two")

    def test_chords_are_apart(self) -> None:
        """A part of one chord does not count for another."""
        self.start("one")
        self.call("start_chord", chord=chord_of("other", "one"))

        assert [True] == self.claims("one")
        part = part_of("other", "one")
        assert self.call("chord_part_returned", part=part).claimed

    def test_chord_may_have_the_id_of_a_task_and_of_a_group(self) -> None:
        """A saved header group has the same id as its chord."""
        self.store("chord", result="of the task")
        self.start("one", "two")
        if self.has_groups:  # pragma: no branch - our storages with chords all keep groups
            self.call("save_group", group=group_of("chord", "one", "two"))

        assert [False, True] == self.claims("one", "two")
        assert "of the task" == self.value("chord")

    def test_unknown_chord_has_no_progress(self) -> None:
        """The chord is finished, or was never started."""
        assert self.returned("one") is None

    def test_nested_results_come_back_as_they_were(self) -> None:
        """A group among the header's results has children."""
        nested = [[["g", None], results_of("one", "two")], *results_of("three")]
        chord = ChordRecord(group_id="chord", size=3, results=nested)
        self.call("start_chord", chord=chord)

        progress = [self.returned(task_id) for task_id in IDS][-1]
        assert progress is not None
        assert nested == _as_lists(progress.results)

    def test_parts_that_bring_their_result_give_it_to_the_claim(self) -> None:
        """The result of a task that ignores its result is stored nowhere else."""
        self.start("one", "two")
        contents = Contents(
            fields={"result": "5"}, content_type="application/json", content_encoding="utf-8"
        )
        self.returned("one", contents=contents, group_index=0)
        progress = self.returned("two")

        assert progress is not None
        assert [("one", contents)] == [(part.task_id, part.contents) for part in progress.parts]

    # -- Storing and counting in one step ------------------------------------------------

    def stored(self, task_id: str, result: Any = None, **facts: Any) -> StoredPart:
        """Store and count a header task in one step; skip the test if the storage cannot."""
        self.require_chords()
        task, part = task_of(task_id, result=result), part_of("chord", task_id, **facts)
        done = self.call("store_part", task=task, part=part)
        assert self.stores_parts is (done is not None), f"stores_parts says {self.stores_parts}"
        self.require(self.stores_parts, "stores_parts is False: the storage has no store_part")
        assert isinstance(done, StoredPart)
        return done

    def test_part_is_stored_and_counted(self) -> None:
        """In one step, with the same outcome as in two."""
        self.start(*IDS)

        done = self.stored("one", result=5)
        assert StoredPart(written=True, counted=True) == done
        assert 5 == self.value("one")
        assert [False, True] == self.claims("two", "three")

    def test_last_part_is_stored_and_left_to_be_counted(self) -> None:
        """``chord_part_returned`` then counts it and gives the claim."""
        self.start("one", "two")
        self.stored("one")

        done = self.stored("two", result=5)
        assert StoredPart(written=True, counted=False) == done
        assert (5, [True]) == (self.value("two"), self.claims("two"))

    def test_part_that_is_delivered_again_changes_nothing(self) -> None:
        """``store_part`` may return that nothing was written, or ``None``."""
        self.start(*IDS)
        self.stored("one", result=5)
        again = self.call("store_part", task=task_of("one", result=6), part=part_of("chord", "one"))

        assert again in (StoredPart(written=False, counted=False), None)
        assert (5, [False, True]) == (self.value("one"), self.claims("two", "three"))

    def test_part_that_is_stored_already_is_counted(self) -> None:
        """Its worker may have died before it could count the part."""
        self.start(*IDS)
        self.store("one", result=5)

        done = self.stored("one", result=6)
        assert StoredPart(written=False, counted=True) == done
        assert (5, [False, True]) == (self.value("one"), self.claims("two", "three"))

    def test_part_of_no_chord_is_stored(self) -> None:
        """The chord may be finished, or may never have been started."""
        done = self.stored("one", result=5)

        assert (StoredPart(written=True, counted=False), 5) == (done, self.value("one"))

    def test_part_that_is_stored_brings_its_result(self) -> None:
        """As a part does that is only counted."""
        self.start("one", "two")
        contents = Contents(
            fields={"result": "5"}, content_type="application/json", content_encoding="utf-8"
        )
        self.stored("one", contents=contents)
        progress = self.returned("two")

        assert progress is not None
        assert [("one", contents)] == [(part.task_id, part.contents) for part in progress.parts]

    # -- The claim ---------------------------------------------------------------------

    def test_claim_is_given_once(self) -> None:
        """A part that returns again, to another worker, does not send the body."""
        self.start("one", "two")
        self.claims("one")
        self.returned("two", claimant="first")

        progress = self.returned("two", claimant="second")
        assert progress is not None
        assert progress.waiting == 0
        assert not progress.claimed, "two workers got the claim and would send the body twice"

    def test_claim_is_given_again_to_who_asks_again(self) -> None:
        """The connection may be lost before the answer arrives."""
        self.start("one")
        progress = [self.returned("one", claimant="me") for _ in range(2)]

        assert [True, True] == [one is not None and one.claimed for one in progress]

    def test_claim_lapses(self, registered: Register) -> None:
        """Its worker may have died, so a part that returns later gets the claim."""
        registered(self.plugin, **{**self.options, "CHORD_CLAIM_TIMEOUT": CLAIM_TIMEOUT})
        self.backend = self.another()
        self.start("one")
        self.returned("one", claimant="first")
        time.sleep(CLAIM_TIMEOUT + 0.2)

        progress = self.returned("one", claimant="second")
        assert progress is not None
        assert (True, True) == (progress.claimed, progress.reclaimed)
        assert results_of("one") == _as_lists(progress.results)

    def test_finished_chord_is_gone(self) -> None:
        """A part that returns later finds no chord. Finishing it again finds nothing to delete."""
        self.start("one")
        self.claims("one")

        answers = [self.call("finish_chord", group_id="chord") for _ in range(2)]
        assert ([True, False], None) == (answers, self.returned("one"))

    def test_finished_chord_may_be_started_again(self) -> None:
        """Parts that returned to the first chord do not count for the second."""
        self.start("one", "two")
        self.claims("one", "two")
        self.call("finish_chord", group_id="chord")

        assert self.start("one", "two") is True
        assert [False, True] == self.claims("one", "two")

    # -- Another size ------------------------------------------------------------------

    @pytest.mark.parametrize(("size", "ids"), [(2, IDS[:2]), (4, (*IDS, "four"))])
    def test_size_is_corrected(self, size: int, ids: tuple[str, ...]) -> None:
        """The header turned out shorter or longer."""
        chord = ChordRecord(group_id="chord", size=3, results=results_of(*ids))
        self.call("start_chord", chord=chord)

        assert self.resize(size) is True
        assert [False] * (size - 1) + [True] == self.claims(*ids)

    def test_size_that_is_right_changes_nothing(self) -> None:
        """Nor does resizing an unknown chord."""
        self.start("one", "two")

        assert (False, [False, True]) == (self.resize(2), self.claims("one", "two"))
        self.call("finish_chord", group_id="chord")
        assert self.resize(2) is False

    def test_parts_are_added(self) -> None:
        """After the existing parts; each makes the chord longer by one."""
        self.start("one")

        assert self.resize(None, "two", "three") is True
        assert [False, False] == self.claims("one", "two")
        progress = self.returned("three")
        assert progress is not None
        assert (True, results_of(*IDS)) == (progress.claimed, _as_lists(progress.results))

    # -- Chords under way --------------------------------------------------------------

    def listed(self) -> list[UnfinishedChord]:
        """Return the chords that the storage lists; skip the test if it cannot list them."""
        found = self.call("unfinished_chords")
        assert self.lists_chords is (found is not None), f"lists_chords says {self.lists_chords}"
        self.require(self.lists_chords, "lists_chords is False: the storage cannot list chords")
        return list(found)

    def test_unfinished_chord_is_listed(self) -> None:
        """With everything that is needed to finish it."""
        self.start(*IDS, body=BODY)
        self.claims("two", "two")

        (chord,) = self.listed()
        expected = ("chord", ["two"], 2, BODY)
        assert expected == (chord.group_id, list(chord.counted), chord.waiting, chord.body)
        assert (results_of(*IDS), None) == (_as_lists(chord.results), chord.date_claimed)
        assert chord.date_created is not None

    def test_claimed_chord_is_listed_with_its_claim(self) -> None:
        """No parts are missing, and the claim has a date. An unknown body is ``None``."""
        self.start("one")
        self.claims("one")

        (chord,) = self.listed()
        assert (0, None) == (chord.waiting, chord.body)
        assert chord.date_claimed is not None

    def test_finished_chord_is_not_listed(self) -> None:
        """A finished chord is deleted."""
        self.start("one")
        self.call("finish_chord", group_id="chord")

        assert [] == self.listed()

    # -- Through Celery ----------------------------------------------------------------

    @pytest.mark.parametrize("keeps_results", [True, False])
    def test_celery_sends_the_body_once(self, keeps_results: bool) -> None:
        """With the header's values, whether or not its tasks keep their results."""
        self.require_chords()
        backend = self.another(task_always_eager=True, task_store_eager_result=True)
        sent: list[Any] = []

        @backend.app.task(name="body", shared=False)  # type: ignore[untyped-decorator]  # an app of Any
        def send(values: Any) -> None:
            sent.append(values)

        body = send.s()
        members = [backend.app.AsyncResult(task_id) for task_id in ("one", "two")]
        backend.apply_chord(("chord", members), body)
        backend.set_chord_size("chord", 2)
        for task_id in ("one", "two", "one", "two"):
            request = Context(
                id=task_id, group="chord", chord=body, ignore_result=not keeps_results
            )
            backend.mark_as_done(task_id, task_id * 2, request, store_result=keeps_results)

        assert [["oneone", "twotwo"]] == sent


def _as_lists(results: Any) -> Any:
    """Return tuples as lists: a storage may give either."""
    return json.loads(json.dumps(results))
