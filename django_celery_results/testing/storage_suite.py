"""Base class and record helpers that the parts of the storage suite share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from celery import states

from ..records import ChordPart, ChordRecord, Contents, StoredGroup, StoredTask
from .suites import PluginConformance

if TYPE_CHECKING:
    from .fixtures import MakeBackend

__all__ = ["StorageSuite", "chord_of", "group_of", "part_of", "results_of", "task_of"]


#: The hooks whose wrappers may ask what the storage has now.
TAKE_PRESENT = ("store_task", "forget_task")


def recount() -> None:
    """Do nothing, because no test of the suite starts a chord whose parts have ended."""


class StorageSuite(PluginConformance):
    """An open storage, and the attributes that describe what it supports."""

    #: The result backend URL. ``{directory}`` in it becomes an empty directory, new per test.
    url: ClassVar[str]
    #: Whether the storage keeps groups (``save_group`` and so on).
    has_groups: ClassVar[bool] = True
    #: Whether the storage counts chords (``start_chord`` and so on).
    has_chords: ClassVar[bool] = True
    #: Whether it can store the state of a part and count it in one step (``store_part``).
    stores_parts: ClassVar[bool] = False
    #: Whether it can list chords (``unfinished_chords``).
    lists_chords: ClassVar[bool] = True
    #: Whether it deletes expired results when asked (``expire_results``).
    has_expiry: ClassVar[bool] = True
    #: Whether results expire without being asked, so that no plugin can keep them.
    expires_by_itself: ClassVar[bool] = False
    #: Whether several processes may use the storage at once.
    is_shared: ClassVar[bool] = True
    #: The facts of a task that the storage keeps, in addition to its id and state.
    facts: ClassVar[Sequence[str]] = ("name", "worker", "periodic_task_name")

    @pytest.fixture(autouse=True)
    def _open(self, manager: object, make_backend: MakeBackend, tmp_path: Path) -> None:
        assert manager is not None
        self.address = self.url.format(directory=tmp_path)
        self.make_backend = make_backend
        self.backend = self.another()

    def another(self, **conf: Any) -> Any:
        """Return a new backend on the same storage, as another worker would have."""
        return self.make_backend(self.address, **conf)

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call a hook of the storage as its backend does, with retries if ``can_retry`` agrees.

        Skips the test if the suite declares that the storage lacks this hook.
        """
        if hook.endswith("_group"):
            self.require_groups()
        elif "chord" in hook:
            self.require_chords()
        if hook in TAKE_PRESENT:
            task_id = arguments["task"].task_id if "task" in arguments else arguments["task_id"]
            arguments["present"] = partial(self._present, task_id)
        if hook == "start_chord":
            arguments["recount"] = recount
        return self.backend.results.call(hook, **arguments)

    def _present(self, task_id: str, contents: Sequence[str] | None) -> StoredTask | None:
        found: Sequence[StoredTask] = self.backend.results.load([task_id], True, contents)
        return found[0] if found else None

    def require(self, capability: bool, reason: str) -> None:
        """Skip the test unless ``capability`` is true."""
        if not capability:
            pytest.skip(reason)

    def require_groups(self) -> None:
        """Skip the test if the storage does not keep groups."""
        self.require(self.has_groups, "has_groups is False: the storage does not keep groups")

    def require_chords(self) -> None:
        """Skip the test if the storage does not count chords."""
        self.require(self.has_chords, "has_chords is False: the storage does not count chords")

    def store(self, task_id: str, status: str = states.SUCCESS, **how: Any) -> bool:
        """Store a task; return the storage's answer."""
        written: bool = self.call("store_task", task=task_of(task_id, status, **how))
        return written

    def load(self, *task_ids: str, contents: Sequence[str] | None = None) -> dict[str, StoredTask]:
        """Load tasks through a new backend, which has nothing in memory; return them by id."""
        results = self.another().results
        found = results.load(list(task_ids), primary=True, contents=contents)
        others = [one for one in found if not isinstance(one, StoredTask)]
        assert [] == others, "load_tasks must return only StoredTasks, and leave out missing tasks"
        ids = [task.task_id for task in found]
        assert set(ids) <= set(task_ids), "load_tasks returned tasks that were not asked for"
        assert len(ids) == len(set(ids)), "load_tasks returned a task more than once"
        return {task.task_id: task for task in found}

    def load_one(self, task_id: str, **how: Any) -> StoredTask:
        """Load a task that must exist, as :meth:`load` does."""
        found = self.load(task_id, **how)
        assert task_id in found, f"load_tasks did not return task {task_id!r}, which was stored"
        return found[task_id]

    def value(self, task_id: str) -> Any:
        """Return the result value that :func:`task_of` put into a task."""
        return json.loads(self.load_one(task_id).contents.fields["result"])


def contents_of(result: Any, **fields: str | None) -> Contents:
    """Return encoded contents: ``result`` as JSON, ``fields`` as they are."""
    nothing: dict[str, str | None] = dict.fromkeys(("traceback", "meta", "args", "kwargs"))
    return Contents(
        # Not only ASCII, so that a storage that writes in another encoding fails.
        fields={"result": json.dumps(result, ensure_ascii=False), **nothing, **fields},
        content_type="application/json",
        content_encoding="utf-8",
    )


def task_of(
    task_id: str,
    status: str = states.SUCCESS,
    result: Any = None,
    fields: Mapping[str, str | None] | None = None,
    **facts: Any,
) -> StoredTask:
    """Return a task as a storage receives it."""
    done = datetime.now(timezone.utc) if status in states.READY_STATES else None
    contents = contents_of(result, **(fields or {}))
    return StoredTask(task_id=task_id, status=status, contents=contents, date_done=done, **facts)


def group_of(group_id: str, *task_ids: str) -> StoredGroup:
    """Return a group as a storage receives it."""
    contents = Contents(
        fields={"result": json.dumps(results_of(*task_ids))},
        content_type="application/json",
        content_encoding="utf-8",
    )
    return StoredGroup(group_id=group_id, contents=contents)


def results_of(*task_ids: str) -> list[Any]:
    """Return the result tuples of these tasks, as lists."""
    return [[[task_id, None], None] for task_id in task_ids]


def chord_of(group_id: str, *task_ids: str, body: Contents | None = None) -> ChordRecord:
    """Return a chord with these header tasks."""
    results = results_of(*task_ids)
    return ChordRecord(group_id=group_id, size=len(task_ids), results=results, body=body)


def part_of(group_id: str, task_id: str, **facts: Any) -> ChordPart:
    """Return a part: a header task that has finished."""
    return ChordPart(**{"group_id": group_id, "task_id": task_id, "status": "SUCCESS", **facts})
