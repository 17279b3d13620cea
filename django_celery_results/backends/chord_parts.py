"""Header tasks of chords: storing their results and counting them.

Celery makes two calls for a header task that ended: the first stores its result, the second
counts it. If the storage can do both in one step, the first call does both, and the second does
nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard
from uuid import uuid4
from weakref import WeakKeyDictionary

from celery import maybe_signature

from ..conf import results_settings
from ..logs import described
from ..records import ChordPart, ChordProgress, Contents
from ..utils import text_id
from .results import result_alone

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context

    from ..records import StoredPart, StoredTask
    from .chords import Chords
    from .results import Results

__all__ = ["ChordParts", "is_part"]

logger = logging.getLogger(__name__)


@dataclass
class _Returning:
    """State that the call that stores a part's result leaves for the call that counts it."""

    #: Whether Celery is certain to make the second call after the first.
    follows: bool = False
    #: The part's result, if it may expire before the chord ends.
    contents: Contents | None = None
    #: Whether the part was counted when its result was stored.
    counted: bool = False


class ChordParts:
    """Stores and counts the header tasks that end in this process."""

    def __init__(self, app: Celery, results: Results, chords: Chords) -> None:
        self.app = app
        self.results = results
        self.chords = chords
        # Celery's own code runs between its two calls, and passes on only the request.
        self._returning: WeakKeyDictionary[Context, _Returning] = WeakKeyDictionary()

    def expect(self, request: Context) -> None:
        """Note that Celery will store the result of this header task next, and then count it."""
        self._returning[request] = _Returning(follows=True)

    def store(self, request: Context, task: StoredTask) -> bool:
        """Store the state of a header task, and count it in the same step where possible.

        Return false if the storage kept the state it had.
        """
        expected = self._returning.get(request)
        returning = _Returning(contents=_perishable(task))
        self._returning[request] = returning
        if expected is not None and expected.follows and self._counts_with_store:
            done = self._store_and_count(task, _part(request, task.status, returning.contents))
            if done is not None:
                returning.counted = done.counted
                return done.written
        return self.results.store(task)

    def _store_and_count(self, task: StoredTask, part: ChordPart) -> StoredPart | None:
        """Store and count in one step; return ``None`` if that is impossible or fails.

        The caller then makes two steps, each with its retries, so that a chord that cannot be
        counted does not prevent the result from being stored.
        """
        results = self.results
        try:
            done: StoredPart | None = results.hooks.call(
                "store_part", storage=results.storage, task=task, part=part
            )
        except Exception as error:  # noqa: BLE001 - two steps follow, whatever the failure is
            logger.warning(
                "Task %s could not be stored and counted in one step: %s. Trying in two steps",
                task.task_id,
                described(error),
            )
            # The storage replaces a lost connection when it is asked about the error.
            results.can_retry(error)
            return None
        return done

    @cached_property
    def _counts_with_store(self) -> bool:
        """Whether every plugin that wraps one of the two steps wraps the single step too."""
        hooks = self.results.hooks
        either = map(hooks.implementers, ("store_task", "chord_part_returned"))
        both = hooks.implementers("store_part")
        return hooks.storage in both and both.issuperset(set().union(*either))

    def count(self, request: Context, state: str, result: Any) -> None:
        """Count a header task that ended; send the body if this was the last one."""
        # Another call with the same request is a new delivery, and counts again.
        returning = self._returning.pop(request, None) or _Returning()
        if returning.counted:
            return
        contents = returning.contents or self._unstored(request, state, result)
        part = _part(request, state, contents)
        progress: ChordProgress | None = self.results.call("chord_part_returned", part=part)
        if progress is None:
            logger.info(
                "Task %s returned to chord %s, which is finished or was never started",
                part.task_id,
                part.group_id,
            )
        elif progress.claimed:
            # Celery's stubs declare a name; Celery itself puts the body's signature there.
            body: Any = request.chord
            self.chords.send_body(maybe_signature(body, app=self.app), progress)

    def _unstored(self, request: Context, state: str, result: Any) -> Contents | None:
        """Return the encoded result if the task ignores it, so that the chord has it."""
        task = self.app.tasks.get(getattr(request, "task", None) or "")
        if not (getattr(request, "ignore_result", None) or getattr(task, "ignore_result", False)):
            return None
        return self.results.encode({"result": self.results.backend.encode_result(result, state)})


def is_part(request: Context | None) -> TypeGuard[Context]:
    """Return whether the request belongs to a header task of a chord."""
    return bool(getattr(request, "chord", None)) and bool(getattr(request, "group", None))


def _part(request: Context, state: str, contents: Contents | None) -> ChordPart:
    return ChordPart(
        group_id=text_id(request.group),
        task_id=text_id(request.id),
        status=state,
        group_index=getattr(request, "group_index", None),
        contents=contents,
        claimant=uuid4().hex,
    )


def _perishable(task: StoredTask) -> Contents | None:
    """Return the task's result if it may expire before the chord ends."""
    seconds = task.retention.seconds if task.retention else None
    if seconds is None or seconds >= results_settings.expire_unfinished_after:
        return None
    return result_alone(task.contents)
