"""The suite for storages: expiry, asked for or by itself."""

from __future__ import annotations

import time
from typing import Any

import pytest
from celery import states

from ..records import Expiry, ExpiryBatch, Retention
from .storage_suite import StorageSuite, group_of

__all__ = ["StorageThatExpires"]

#: Seconds that are long for these tests, and few enough to wait for.
AGE = 0.3
NEVER = Retention(seconds=None)
AT_ONCE = Retention(seconds=0)
LATER = Retention(seconds=3600)


class Listener:
    """What an expiry tells of its batches; keeps those that it is to."""

    def __init__(self, *, keep: bool = False) -> None:
        self.keep = keep
        self.before: list[ExpiryBatch] = []
        self.after: list[ExpiryBatch] = []

    def expiry(self, expires: float | None, batch_size: int = 100) -> Expiry:
        """Return an expiry that tells this one."""
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
        """Return what is gone of that kind, in alphabetical order."""
        return sorted(one for batch in self.after if batch.kind == kind for one in batch.ids)


class StorageThatExpires(StorageSuite):
    """Results go when they are old, and not before."""

    @pytest.fixture
    def expiry(self) -> None:
        """Skips the test of a storage that nobody has to ask."""
        self.require(self.has_expiry and not self.expires_by_itself, "it expires nothing")

    def expire(self, expires: float | None, listener: Listener | None = None) -> int:
        """Let expire what is as old as that; return the storage's answer."""
        quiet = Expiry(expires=expires, batch_size=100)
        expiry = quiet if listener is None else listener.expiry(expires)
        deleted: int = self.call("expire_results", expiry=expiry)
        return deleted

    def age(self, *task_ids: str, status: str = states.SUCCESS, **how: Any) -> None:
        """Store tasks, and let them become as old as :data:`AGE`."""
        for task_id in task_ids:
            self.store(task_id, status, **how)
        time.sleep(AGE + 0.1)

    # -- By themselves -----------------------------------------------------------------

    def test_storage_that_expires_by_itself_deletes_nothing_else(self) -> None:
        """Asked all the same, it answers that it deleted none."""
        self.require(self.expires_by_itself, "it has to be asked")
        self.age("old")

        assert (0, ["old"]) == (self.expire(AGE), list(self.load("old")))

    def test_storage_that_expires_by_itself_knows_the_age(self) -> None:
        """That of the settings, and that of one result."""
        self.require(self.expires_by_itself, "it has to be asked")
        self.backend = self.another(result_expires=1)
        self.store("by-age")
        self.store("at-once", retention=AT_ONCE)
        self.store("later", retention=LATER)
        self.store("never", retention=NEVER)
        ids = ("by-age", "at-once", "later", "never")
        assert "by-age" in self.load(*ids)
        # A server may look at its clock once a second.
        time.sleep(2.5)

        assert {"later", "never"} == self.load(*ids).keys()

    # -- Asked -------------------------------------------------------------------------

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("told", [True, False])
    def test_old_results_go(self, told: bool) -> None:
        """And young ones stay, whether anybody is told of it or not."""
        self.age("old", "older")
        self.store("young")

        assert 2 == self.expire(AGE, Listener() if told else None)
        assert ["young"] == list(self.load("old", "older", "young"))

    @pytest.mark.usefixtures("expiry")
    def test_unfinished_tasks_stay(self) -> None:
        """Somebody may be waiting for them."""
        self.age("task", status=states.STARTED)

        assert (0, ["task"]) == (self.expire(AGE), list(self.load("task")))

    @pytest.mark.usefixtures("expiry")
    def test_results_may_be_kept_for_ever(self) -> None:
        """Age alone expires nothing then."""
        self.age("task")

        assert (0, ["task"]) == (self.expire(None), list(self.load("task")))

    @pytest.mark.usefixtures("expiry")
    @pytest.mark.parametrize("expires", [AGE, None])
    def test_retention_of_one_result_counts_for_it(self, expires: float | None) -> None:
        """Whatever the age of the others."""
        self.store("at-once", retention=AT_ONCE)
        self.store("later", retention=LATER)
        self.store("never", retention=NEVER)
        time.sleep(AGE + 0.1)

        assert 1 == self.expire(expires)
        assert {"later", "never"} == self.load("at-once", "later", "never").keys()

    @pytest.mark.usefixtures("expiry")
    def test_retention_is_that_of_the_last_state(self) -> None:
        """A failure that may go at once, and is tried again with success, may not."""
        self.store("task", states.FAILURE, retention=AT_ONCE)
        self.store("task", states.SUCCESS)

        assert (0, ["task"]) == (self.expire(3600), list(self.load("task")))

    @pytest.mark.usefixtures("expiry")
    def test_groups_go_too(self) -> None:
        """As a kind of their own."""
        self.call("save_group", group=group_of("old", "one"))
        time.sleep(AGE + 0.1)
        self.call("save_group", group=group_of("young", "one"))
        listener = Listener()

        assert (1, ["old"]) == (self.expire(AGE, listener), listener.ids("group"))
        groups = [self.call("load_group", group_id=group_id) for group_id in ("old", "young")]
        assert [False, True] == [group is not None for group in groups]

    @pytest.mark.usefixtures("expiry")
    def test_batches_are_told_of_before_and_after(self) -> None:
        """Each result once, in batches that are not too large."""
        ids = [f"t{number}" for number in range(5)]
        self.age(*ids)
        listener = Listener()
        self.call("expire_results", expiry=listener.expiry(AGE, batch_size=2))

        assert ids == listener.ids() == sorted(one for each in listener.before for one in each.ids)
        assert max(len(batch.ids) for batch in listener.before) <= 2
        assert {("task", self.backend.hooks.storage)} == {
            (batch.kind, batch.storage) for batch in [*listener.before, *listener.after]
        }

    @pytest.mark.usefixtures("expiry")
    def test_batch_has_its_records(self) -> None:
        """As they were stored, for whoever archives them."""
        self.age("task", result=[1, 2], name="shop.pay")
        listener = Listener()
        self.expire(AGE, listener)

        records = [record for batch in listener.before for record in batch.records]
        task: Any = records[0]
        expected = ("task", states.SUCCESS, "[1, 2]")
        assert expected == (task.task_id, task.status, task.contents.fields["result"])

    @pytest.mark.usefixtures("expiry")
    def test_batch_that_is_kept_stays(self) -> None:
        """Nobody is told that it went, and it comes again."""
        self.age("task")
        listener = Listener(keep=True)

        assert (0, []) == (self.expire(AGE, listener), listener.after)
        assert ["task"] == list(self.load("task"))
        listener.keep = False
        assert (1, ["task"]) == (self.expire(AGE, listener), listener.ids())

    @pytest.mark.usefixtures("expiry")
    def test_kept_batches_do_not_stop_the_others(self) -> None:
        """An expiry of which all batches are kept ends."""
        self.age(*(f"t{number}" for number in range(6)))
        listener = Listener(keep=True)

        assert 0 == self.call("expire_results", expiry=listener.expiry(AGE, batch_size=2))
        assert 6 == len({one for batch in listener.before for one in batch.ids})
