"""The storage suite: expiry, on request or by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from celery import states

from ..records import Expiry, ExpiryBatch, Retention
from .storage_suite import StorageSuite, group_of
from .storage_tasks import UNFINISHED

__all__ = ["StorageThatExpires"]

#: Seconds between old and young results.
APART = 0.3
#: Age in seconds at which the tests call a result old.
NO_AGE = 0.01
#: Seconds to wait at most until a storage has expired a result of one second by itself.
PATIENCE = 10
NEVER = Retention(seconds=None)
AT_ONCE = Retention(seconds=0)
LATER = Retention(seconds=3600)


class Listener:
    """Records the batches of an expiry, and keeps them from deletion if ``keep`` is set."""

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self.before: list[ExpiryBatch] = []
        self.after: list[ExpiryBatch] = []

    def expiry(self, expires: float | None, batch_size: int = 100) -> Expiry:
        """Return an expiry that calls this listener."""
        return Expiry(
            expires=expires,
            batch_size=batch_size,
            before=self._before,
            after=self.after.append,
        )

    def _before(self, batch: ExpiryBatch) -> bool:
        self.before.append(batch)
        return not self.keep

    def ids(self, kind: str = "task") -> list[str]:
        """Return the ids of that kind that were reported deleted, in alphabetical order."""
        return sorted(one for batch in self.after if batch.kind == kind for one in batch.ids)


def apart() -> Callable[[], float]:
    """Let the stored results become old; return a function that returns a suitable age.

    That age lies between those of the results stored before and after this call, however
    long storing the later ones takes.
    """
    time.sleep(APART)
    since = time.monotonic()
    return lambda: time.monotonic() - since + APART / 2


class StorageThatExpires(StorageSuite):
    """The storage deletes results when they are old, and not before."""

    @pytest.fixture
    def expiry(self) -> None:
        """Skips the test if the storage does not expire results on request."""
        asked = self.has_expiry and not self.expires_by_itself
        self.require(asked, "the storage does not expire results on request")

    def expire(self, expires: float | None, listener: Listener | None = None) -> int:
        """Expire results older than ``expires`` seconds; return the storage's answer."""
        quiet = Expiry(expires=expires, batch_size=100)
        expiry = quiet if listener is None else listener.expiry(expires)
        deleted: int = self.call("expire_results", expiry=expiry)
        return deleted

    def age(self, *task_ids: str, status: str = states.SUCCESS, **how: Any) -> None:
        """Store tasks, and wait until they are older than :data:`NO_AGE`."""
        for task_id in task_ids:
            self.store(task_id, status, **how)
        time.sleep(NO_AGE + 0.01)

    # -- By themselves -----------------------------------------------------------------

    def test_storage_that_expires_by_itself_deletes_nothing_else(self) -> None:
        """If asked anyway, it answers that it deleted nothing."""
        self.require(self.expires_by_itself, "expires_by_itself is False")
        self.age("old")

        assert (0, ["old"]) == (self.expire(NO_AGE), list(self.load("old")))

    def test_storage_that_expires_by_itself_knows_the_age(self) -> None:
        """The age from the settings, and the retention of a single result."""
        self.require(self.expires_by_itself, "expires_by_itself is False")
        self.backend = self.another(result_expires=1)
        self.store("by-age")
        self.store("at-once", retention=AT_ONCE)
        self.store("later", retention=LATER)
        self.store("never", retention=NEVER)
        ids = ("by-age", "at-once", "later", "never")
        # A server may check the time only once a second.
        latest = time.monotonic() + PATIENCE
        while {"by-age", "at-once"} & self.load(*ids).keys() and time.monotonic() < latest:
            time.sleep(0.05)

        assert {"later", "never"} == self.load(*ids).keys()

    # -- On request --------------------------------------------------------------------

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("told", [True, False])
    def test_old_results_go(self, told: bool) -> None:
        """Young results stay, with or without a listener."""
        self.age("old", "older")
        age_of_young = apart()
        self.store("young")

        assert 2 == self.expire(age_of_young(), Listener() if told else None)
        assert ["young"] == list(self.load("old", "older", "young"))

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("state", UNFINISHED)
    def test_unfinished_tasks_stay(self, state: str) -> None:
        """A caller may be waiting for them."""
        self.age("task", status=state)

        deleted = self.expire(NO_AGE)
        assert ["task"] == list(self.load("task")), f"an unfinished task ({state}) expired"
        assert deleted == 0

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("state", sorted(states.READY_STATES))
    def test_finished_tasks_go(self, state: str) -> None:
        """In every final state."""
        self.age("task", status=state)

        answer = (self.expire(NO_AGE), self.load("task"))
        assert (1, {}) == answer, f"a finished task ({state}) did not expire"

    @pytest.mark.usefixtures("expiry")
    def test_results_may_be_kept_for_ever(self) -> None:
        """With ``expires`` set to ``None``, no result expires by age alone."""
        self.age("task")

        assert (0, ["task"]) == (self.expire(None), list(self.load("task")))

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("expires", [NO_AGE, None])
    def test_retention_of_one_result_counts_for_it(self, expires: float | None) -> None:
        """A result's own retention overrides the general age."""
        self.store("at-once", retention=AT_ONCE)
        self.store("later", retention=LATER)
        self.store("never", retention=NEVER)
        time.sleep(NO_AGE + 0.01)

        assert 1 == self.expire(expires)
        assert {"later", "never"} == self.load("at-once", "later", "never").keys()

    @pytest.mark.usefixtures("expiry")
    def test_retention_is_that_of_the_last_state(self) -> None:
        """A success after a failure does not keep the failure's retention."""
        self.store("task", states.FAILURE, retention=AT_ONCE)
        self.store("task", states.SUCCESS)

        assert (0, ["task"]) == (self.expire(3600), list(self.load("task")))

    @pytest.mark.usefixtures("expiry")
    def test_groups_go_too(self) -> None:
        """In batches of the kind ``group``."""
        self.call("save_group", group=group_of("old", "one"))
        age_of_young = apart()
        self.call("save_group", group=group_of("young", "one"))
        listener = Listener()

        assert (1, ["old"]) == (self.expire(age_of_young(), listener), listener.ids("group"))
        groups = [self.call("load_group", group_id=group_id) for group_id in ("old", "young")]
        assert [False, True] == [group is not None for group in groups]

    @pytest.mark.usefixtures("expiry")
    def test_batches_are_told_of_before_and_after(self) -> None:
        """Each result once, in batches no larger than ``batch_size``."""
        ids = [f"t{number}" for number in range(5)]
        self.age(*ids)
        listener = Listener()
        self.call("expire_results", expiry=listener.expiry(NO_AGE, batch_size=2))

        assert ids == listener.ids() == sorted(one for each in listener.before for one in each.ids)
        assert max(len(batch.ids) for batch in listener.before) <= 2
        assert {("task", self.backend.hooks.storage)} == {
            (batch.kind, batch.storage) for batch in [*listener.before, *listener.after]
        }

    @pytest.mark.usefixtures("expiry")
    def test_batch_has_its_records(self) -> None:
        """As they were stored, so that a plugin can archive them."""
        self.age("task", result=[1, 2], name="shop.pay")
        listener = Listener()
        self.expire(NO_AGE, listener)

        records: list[Any] = [one for batch in listener.before for one in batch.records]
        found = [(one.task_id, one.status, one.contents.fields["result"]) for one in records]
        assert [("task", states.SUCCESS, "[1, 2]")] == found

    @pytest.mark.usefixtures("expiry")
    def test_batch_is_gone_when_that_is_told(self) -> None:
        """The deletion is durable, so an observer may delete related data elsewhere."""
        self.age("one", "two")
        left: list[str] = []
        expiry = Expiry(
            expires=NO_AGE,
            batch_size=1,
            before=lambda _batch: True,
            after=lambda batch: left.extend(self.load(*batch.ids)),
        )

        assert 2 == self.call("expire_results", expiry=expiry)
        assert [] == left, "after was called for results that are still there"

    @pytest.mark.usefixtures("expiry")
    def test_batch_that_is_kept_stays(self) -> None:
        """``after`` is not called for it, and the next expiry includes it again."""
        self.age("task")
        listener = Listener(keep=True)

        assert (0, []) == (self.expire(NO_AGE, listener), listener.after)
        assert ["task"] == list(self.load("task"))
        listener.keep = False
        assert (1, ["task"]) == (self.expire(NO_AGE, listener), listener.ids())

    @pytest.mark.usefixtures("expiry")
    def test_kept_batches_do_not_stop_the_others(self) -> None:
        """An expiry that keeps every batch still visits all of them, and ends."""
        self.age(*(f"t{number}" for number in range(6)))
        listener = Listener(keep=True)

        assert 0 == self.call("expire_results", expiry=listener.expiry(NO_AGE, batch_size=2))
        assert 6 == len({one for batch in listener.before for one in batch.ids})
