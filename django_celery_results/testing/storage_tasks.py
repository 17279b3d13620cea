"""The storage suite: tasks and groups."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import pytest
from celery import states
from celery.result import GroupResult
from django.db import connections
from django.utils.timezone import is_naive, make_aware

from ..exceptions import BackendMisconfigured
from .storage_suite import StorageSuite, group_of, task_of

__all__ = ["StorageOfGroups", "StorageOfTasks"]

UNFINISHED = ("PROGRESS", states.RECEIVED, states.STARTED, states.RETRY)
#: States in an order in which each may replace the one before it.
COURSE = (states.PENDING, states.STARTED, states.RETRY, states.STARTED, states.FAILURE)

RESULTS: Sequence[Any] = (None, "", 0, "ä 結果 🎉", "quote's \" \\ % line\nend", ["x" * 1000] * 200)


class StorageOfTasks(StorageSuite):
    """The storage keeps tasks, each in the right state."""

    #: Ids that tasks may have, in addition to the usual UUIDs.
    ids: ClassVar[Sequence[str]] = ("t" * 150, "ä-結果-🎉", "a b/c?d%e'f", "Case", "case")
    #: URLs that cannot be opened and must be refused with a reason.
    bad_urls: ClassVar[Sequence[str]] = ()

    def test_bad_urls_are_refused(self) -> None:
        """When the backend is created, before any result can be lost."""
        for url in self.bad_urls:
            with pytest.raises(BackendMisconfigured) as refusal:
                self.make_backend(url)
            assert str(refusal.value).strip(), f"the error for {url!r} must give a reason"

    def test_plugins_can_use_what_the_storage_says_of_itself(self) -> None:
        """A plugin writes to the database ``using``, and names files after ``place``."""
        storage = self.backend.storage
        using, place = (getattr(storage, name, None) for name in ("using", "place"))
        assert using is None or using in list(connections), "'using' is no alias of DATABASES"
        assert place is None or (isinstance(place, str) and place), "'place' is no name"
        another = getattr(self.another().storage, "place", None)
        assert place == another, "'place' is another name in another worker"

    @pytest.mark.parametrize("number", range(len(RESULTS)))
    def test_contents_come_back_as_they_were(self, number: int) -> None:
        """Together with the content type and encoding that decoding needs."""
        fields = {"traceback": "Trace: ü 結果 🎉", "meta": '{"children": []}'}
        stored = task_of("task", result=RESULTS[number], fields=fields)
        assert self.call("store_task", task=stored) is True

        loaded = self.load_one("task")
        assert (stored.status, stored.contents) == (loaded.status, loaded.contents)

    def test_contents_may_be_of_any_type(self) -> None:
        """Each task keeps its own content type and encoding, which may differ between tasks."""
        tasks = [task_of("plain"), task_of("coded")]
        tasks[1].contents = replace(
            tasks[1].contents, content_type="application/x-other", content_encoding="binary, zstd"
        )
        for task in tasks:
            self.call("store_task", task=task)

        loaded = [self.load_one(task.task_id).contents for task in tasks]
        assert [task.contents for task in tasks] == loaded

    def test_task_that_is_stored_is_left_as_it_is(self) -> None:
        """Observers see the same object later. Only ``using`` may be set by the storage."""
        task = task_of("task", name="shop.pay")
        before = deepcopy(task)
        self.call("store_task", task=task)

        assert before == replace(task, using=before.using), "store_task has changed the task"

    def test_ids_may_look_like_anything(self) -> None:
        """The caller chooses the ids."""
        for task_id in self.ids:
            self.store(task_id, result=task_id)

        found = {task_id: self.value(task_id) for task_id in self.ids}
        assert {one: one for one in self.ids} == found, "ids were changed or confused"

    def test_names_may_be_long(self) -> None:
        """A name that is too long, and has to be cut, must not lose the result."""
        self.store("task", result=1, name="n" * 1000, worker="w" * 1000)

        assert self.value("task") == 1

    def test_facts_come_back(self) -> None:
        """The facts that ``facts`` lists."""
        facts = {"name": "shop.pay", "worker": "celery@host", "periodic_task_name": "daily"}
        facts = {name: value for name, value in facts.items() if name in self.facts}
        self.store("task", **facts)

        loaded = self.load_one("task")
        assert facts == {name: getattr(loaded, name) for name in facts}

    def test_end_of_a_task_is_dated(self) -> None:
        """With a time zone, or naive in the site's time zone."""
        self.store("task")

        done = self.load_one("task").date_done
        assert done is not None
        now = datetime.now(timezone.utc)
        assert abs(now - (make_aware(done) if is_naive(done) else done)) < timedelta(minutes=10)

    def test_what_is_not_there_is_left_out(self) -> None:
        """An unknown id is not an error."""
        self.store("there")

        assert ["there"] == list(self.load("absent", "there"))

    def test_many_ids_are_loaded_at_once(self) -> None:
        """Each task once, in any order."""
        for number in range(0, 1000, 50):
            self.store(f"t{number}", result=number)

        loaded = self.load(*(f"t{number}" for number in range(1000)))
        assert {f"t{number}" for number in range(0, 1000, 50)} == loaded.keys()

    @pytest.mark.parametrize("contents", [["result"], ["result", "meta"], []])
    def test_contents_that_are_wanted_are_there(self, contents: list[str]) -> None:
        """Returning more contents than asked for is allowed."""
        self.store("task", result=1, fields={"meta": "{}", "traceback": "T"})

        loaded = self.load_one("task", contents=contents)
        assert set(contents) <= loaded.contents.fields.keys()
        assert states.SUCCESS == loaded.status

    # -- Which state stays ------------------------------------------------------------

    def check_stored(self, task_id: str, status: str, result: Any) -> None:
        """Assert that the stored task has this state and result."""
        assert (status, result) == (self.load_one(task_id).status, self.value(task_id))

    def check_refused(self, task_id: str, status: str, **facts: Any) -> None:
        """Store a state that the storage must reject."""
        answer = self.store(task_id, status, result="late", **facts)
        assert answer is False, (
            f"store_task returned {answer}; it must reject {status} here and return False"
        )

    def test_last_state_stays(self) -> None:
        """Each state replaces the one before it, as long as none is a success."""
        for number, state in enumerate(COURSE):
            assert self.store("task", state, result=number) is True
            self.check_stored("task", state, number)

    def test_failure_is_overwritten(self) -> None:
        """When the task runs again."""
        self.store("task", states.FAILURE)

        assert self.store("task", states.STARTED) is True
        assert self.store("task", states.SUCCESS, result=1) is True
        self.check_stored("task", states.SUCCESS, 1)

    @pytest.mark.parametrize(
        "late", [*UNFINISHED, states.FAILURE, states.REVOKED, states.PENDING, states.SUCCESS]
    )
    def test_success_is_final(self, late: str) -> None:
        """Any state that arrives late or twice is rejected."""
        self.store("task", result="first")

        self.check_refused("task", late)
        self.check_stored("task", states.SUCCESS, "first")

    @pytest.mark.parametrize(
        "earlier", [*UNFINISHED, states.FAILURE, states.REVOKED, states.PENDING]
    )
    def test_empty_pending_overwrites_nothing(self, earlier: str) -> None:
        """It says only that a task was sent, and may arrive after the worker's first state."""
        self.store("task", earlier, result="known")

        self.check_refused("task", states.PENDING, only_if_absent=True)
        self.check_stored("task", earlier, "known")

    def test_empty_pending_is_stored_if_nothing_is_there(self) -> None:
        """And it is replaced by what follows."""
        assert self.store("task", states.PENDING, only_if_absent=True) is True
        self.check_stored("task", states.PENDING, None)

        assert self.store("task", states.STARTED, result=1) is True
        self.check_stored("task", states.STARTED, 1)

    @pytest.mark.parametrize("earlier", [states.PENDING, *UNFINISHED, states.FAILURE])
    def test_pending_with_a_value_is_a_state_like_any_other(self, earlier: str) -> None:
        """A task may report its progress under this state."""
        self.store("task", earlier, result=1)

        assert self.store("task", states.PENDING, result=2) is True
        self.check_stored("task", states.PENDING, 2)

    def test_what_was_known_is_not_blanked(self) -> None:
        """A later state without name and arguments keeps the stored ones."""
        arguments = {"args": '"(1,)"', "kwargs": '"{}"'}
        facts = {name: f"its {name}" for name in self.facts}
        self.store("task", states.STARTED, fields=arguments, **facts)
        self.store("task", states.SUCCESS, result=1)

        loaded = self.load_one("task")
        assert facts == {name: getattr(loaded, name) for name in facts}
        assert arguments == {name: loaded.contents.fields[name] for name in arguments}

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8, identity"])
    @pytest.mark.parametrize("content_type", ["application/json", "text/x-other"])
    def test_what_stays_of_an_earlier_state(self, content_type: str, encoding: str) -> None:
        """``StoredTask.with_known`` says it: arguments stay only if they can be decoded."""
        earlier = task_of("task", states.STARTED, fields={"args": '"(1,)"', "kwargs": '"{}"'})
        later = task_of("task", states.RETRY, result=1)
        later.contents = replace(
            later.contents, content_type=content_type, content_encoding=encoding
        )
        for task in (earlier, later):
            self.call("store_task", task=deepcopy(task))

        expected = later.with_known(earlier).contents.fields
        loaded = self.load_one("task").contents.fields
        names = ("args", "kwargs")
        assert [expected[one] for one in names] == [loaded.get(one) for one in names]

    # -- Forgetting --------------------------------------------------------------------

    def test_forgotten_task_is_gone(self) -> None:
        """Forgetting it again finds nothing to delete."""
        self.store("task")
        self.store("other")

        assert (True, False) == (self.forget("task"), self.forget("task"))
        assert ["other"] == list(self.load("task", "other"))

    def test_forgotten_task_can_be_stored_again(self) -> None:
        """As if it had never been stored."""
        self.store("task", result="old")
        self.forget("task")

        assert self.store("task", states.STARTED, result="new") is True
        assert self.value("task") == "new"

    def forget(self, task_id: str) -> bool:
        """Forget a task; return the storage's answer."""
        answer: bool = self.call("forget_task", task_id=task_id)
        return answer

    # -- Errors --------------------------------------------------------------------

    #: Temporary errors, for which ``can_retry`` must return true.
    passing: ClassVar[Sequence[Exception]] = ()

    def test_only_what_may_pass_is_tried_again(self) -> None:
        """An error of the task or of a plugin is not retried."""
        errors = [*self.passing, ValueError("from elsewhere"), KeyError("from elsewhere")]

        answers = [bool(self.call("can_retry", error=error)) for error in errors]
        assert [True] * len(self.passing) + [False, False] == answers


class StorageOfGroups(StorageSuite):
    """The storage keeps groups, if it supports them."""

    def test_group_comes_back_as_it_was(self) -> None:
        """Together with the content type and encoding that decoding needs."""
        group = group_of("group", "one", "two")
        assert self.call("save_group", group=group) is True

        loaded = self.another().hooks.call(
            "load_group", storage=self.backend.storage, group_id="group"
        )
        assert ("group", group.contents) == (loaded.group_id, loaded.contents)

    def test_group_that_is_saved_again_is_replaced(self) -> None:
        """The last save counts, and saving the same group twice is harmless."""
        groups = [group_of("group", "one"), group_of("group", "two"), group_of("group", "two")]
        for group in groups:
            self.call("save_group", group=group)

        assert groups[-1].contents == self.call("load_group", group_id="group").contents

    def test_unknown_group_is_none(self) -> None:
        """The group was never saved, or has expired."""
        assert self.call("load_group", group_id="group") is None

    def test_forgotten_group_is_gone(self) -> None:
        """The results of its tasks stay."""
        self.store("one")
        self.call("save_group", group=group_of("group", "one"))

        answers = [self.call("forget_group", group_id="group") for _ in range(2)]
        assert ([True, False], None) == (answers, self.call("load_group", group_id="group"))
        assert ["one"] == list(self.load("one"))

    def test_group_may_have_the_id_of_a_task(self) -> None:
        """The storage does not confuse the two."""
        group = group_of("same", "one")
        self.store("same", result="of the task")
        self.call("save_group", group=group)

        found = self.call("load_group", group_id="same")
        assert ("of the task", group.contents) == (self.value("same"), found and found.contents)

    def test_celery_saves_and_restores_a_group(self) -> None:
        """Including the results of its tasks."""
        self.require_groups()
        app = self.backend.app
        for task_id in ("one", "two"):
            self.backend.store_result(task_id, task_id, states.SUCCESS)
        GroupResult("group", [app.AsyncResult("one"), app.AsyncResult("two")], app=app).save()

        assert ["one", "two"] == GroupResult.restore("group", app=app).get(timeout=5)
