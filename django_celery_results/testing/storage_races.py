"""The storage suite: several workers use the same records at the same time."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from celery import states

from ..records import Expiry, ExpiryBatch
from .at_once import Processes, Site, Threads, Workers
from .storage_suite import StorageSuite, chord_of, part_of, recount, results_of, task_of

__all__ = ["StorageInRaces"]

WORKERS = 3
ROUNDS = 15

TASK_IDS = [f"t{number}" for number in range(ROUNDS)]
STATES = (states.PENDING, states.STARTED, "PROGRESS", states.RETRY, states.FAILURE, states.SUCCESS)


def _call(backend: Any, hook: str, **arguments: Any) -> Any:
    return backend.results.call(hook, **arguments)


def store_everything(backend: Any, number: int) -> list[str]:
    """Store each task in every state; return the tasks whose SUCCESS this worker stored."""
    order = random.Random(number)  # noqa: S311 - an order, not a secret
    won = []
    for task_id in TASK_IDS:
        for status in order.sample(STATES, len(STATES)):
            written = backend.results.store(task_of(task_id, status, number))
            if written and status == states.SUCCESS:
                won.append(task_id)
    return won


def start_chord(backend: Any, _number: int) -> bool:
    """Start the chord that every worker starts."""
    return bool(_call(backend, "start_chord", chord=chord_of("chord", *TASK_IDS), recount=recount))


def return_parts(backend: Any, number: int) -> int:
    """Return every part of the chord twice; return 1 if this worker got the claim, else 0."""
    order = random.Random(number)  # noqa: S311 - as above
    claims = 0
    for task_id in order.sample([*TASK_IDS, *TASK_IDS], 2 * ROUNDS):
        part = part_of("chord", task_id, claimant=f"{number}")
        progress = _call(backend, "chord_part_returned", part=part)
        # A worker that holds the claim is given it again.
        claims = max(claims, progress.claimed)
    return claims


def add_parts(backend: Any, number: int) -> list[str]:
    """Add this worker's own parts to the chord; return their ids."""
    added = [f"{number}-{one}" for one in range(5)]
    for task_id in added:
        _call(backend, "resize_chord", group_id="longer", size=None, added=results_of(task_id))
    return added


def expire(backend: Any, _number: int) -> tuple[int, list[str]]:
    """Expire everything; return how many results this worker deleted, and the reported ids."""
    told: list[str] = []

    def after(batch: ExpiryBatch) -> None:
        told.extend(batch.ids)

    expiry = Expiry(
        expires=0,
        batch_size=4,
        before=lambda _batch: True,
        after=after,
        repeat=backend.expirer.expiry(0).repeat,
    )
    return _call(backend, "expire_results", expiry=expiry), told


class StorageInRaces(StorageSuite):
    """The guarantees also hold when several workers use the storage at once."""

    @pytest.fixture
    def site(self) -> Site:
        """The settings that another thread or process needs to use the storage."""
        return Site.here(self.plugin, self.options, self.address)

    def test_one_success_wins(self, site: Site) -> None:
        """The winning result stays, whatever the other workers write."""
        with closing(Threads(site, WORKERS)) as workers:
            self.check_one_success_wins(workers)

    def test_one_start_of_a_chord_is_the_first(self, site: Site) -> None:
        """The other starts change nothing."""
        self.require_chords()
        with closing(Threads(site, WORKERS)) as workers:
            self.check_one_start_is_the_first(workers)

    def test_one_claim_is_given(self, site: Site) -> None:
        """However many workers return the parts, and however often."""
        self.require_chords()
        with closing(Threads(site, WORKERS)) as workers:
            self.check_one_claim_is_given(workers)

    def test_no_added_part_is_lost(self, site: Site) -> None:
        """The chord waits for each added part."""
        self.require_chords()
        with closing(Threads(site, WORKERS)) as workers:
            self.check_no_added_part_is_lost(workers)

    def test_one_expiry_takes_each_result(self, site: Site) -> None:
        """All results are deleted; each is counted and reported once."""
        asked = self.has_expiry and not self.expires_by_itself
        self.require(asked, "the storage does not expire results on request")
        with closing(Threads(site, WORKERS)) as workers:
            self.check_one_expiry_takes_each_result(workers)

    def test_processes_are_like_threads(self, site: Site) -> None:
        """All of the above in one test, because processes take long to start."""
        self.require(self.is_shared, "is_shared is False: processes do not share the storage")
        with closing(Processes(site, WORKERS)) as workers:
            self.check_one_success_wins(workers)
            if self.has_chords:
                self.check_one_start_is_the_first(workers)
                self.check_one_claim_is_given(workers)
                self.check_no_added_part_is_lost(workers)
            if self.has_expiry and not self.expires_by_itself:
                self.check_one_expiry_takes_each_result(workers)

    # -- Checks --------------------------------------------------------------------------

    def check_one_success_wins(self, workers: Workers) -> None:
        """Let all workers store the same tasks in every state."""
        won = workers.call(store_everything)

        winners = {task_id: number for number, ids in enumerate(won) for task_id in ids}
        successes = Counter(one for ids in won for one in ids)
        assert dict.fromkeys(TASK_IDS, 1) == successes, (
            "SUCCESS was overwritten: compare the states and write in one atomic step"
        )
        assert winners == {task_id: self.value(task_id) for task_id in TASK_IDS}

    def check_one_start_is_the_first(self, workers: Workers) -> None:
        """Let all workers start the same chord."""
        answers = workers.call(start_chord)

        assert [False] * (WORKERS - 1) + [True] == sorted(answers), (
            "start_chord must return True to exactly one worker"
        )

    def check_one_claim_is_given(self, workers: Workers) -> None:
        """Let all workers return the same parts."""
        self.call("start_chord", chord=chord_of("chord", *TASK_IDS))
        claims = sorted(workers.call(return_parts))

        assert [0] * (WORKERS - 1) + [1] == claims, "exactly one worker must get the claim"

    def check_no_added_part_is_lost(self, workers: Workers) -> None:
        """Let all workers add parts to the same chord."""
        self.call("start_chord", chord=chord_of("longer", "first"))
        added = [one for ids in workers.call(add_parts) for one in ids]
        claims = [
            self.call("chord_part_returned", part=part_of("longer", task_id)).claimed
            for task_id in ["first", *added]
        ]

        assert [False] * len(added) + [True] == claims, "the chord lost a part that was added"

    def check_one_expiry_takes_each_result(self, workers: Workers) -> None:
        """Let all workers expire the same results."""
        for task_id in TASK_IDS:
            self.store(task_id)
        time.sleep(0.01)
        answers = workers.call(expire)

        told = Counter(one for _, ids in answers for one in ids)
        assert (ROUNDS, {}) == (sum(number for number, _ in answers), self.load(*TASK_IDS))
        assert dict.fromkeys(TASK_IDS, 1) == told
