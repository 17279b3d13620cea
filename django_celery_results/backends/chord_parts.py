"""Header tasks of chords: their results are stored, and they are counted.

Celery's worker makes two calls for that, one after the other. Where a storage can do both in
one step, the first call does it, and the second finds that it is done.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard, cast
from uuid import uuid4

from celery import maybe_signature, states
from celery.backends.base import Backend
from kombu.utils.encoding import bytes_to_str

from ..conf import results_settings
from ..exceptions import HookError
from ..records import ChordPart, ChordProgress, Contents, StoredPart
from .retrying import described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery
    from celery.app.task import Context

    from ..hooks import Hooks
    from ..records import StoredTask

__all__ = ["ChordPartMixin", "result_of"]

logger = logging.getLogger(__name__)

#: The attribute of a header task's request that has its :class:`_Returning`.
RETURNING = "django_celery_results_returning"


@dataclass
class _Returning:
    """What is known of a part from the call that stores its result to the one that counts it."""

    #: Whether the second call is sure to follow the first one.
    follows: bool = False
    #: The result that the part brings, where that may be gone before the chord ends.
    contents: Contents | None = None
    #: Whether the part was counted when its result was stored.
    counted: bool = False


class ChordPartMixin(Backend):
    """What Celery's worker calls for a task that succeeded, and for a header task that returns."""

    if TYPE_CHECKING:
        app: Celery
        hooks: Hooks
        storage: Any

        def _persist(self, hook: str, **arguments: Any) -> Any: ...

        def _require(self, hook: str, **arguments: Any) -> Any: ...

        def exception_safe_to_retry(self, exc: Exception) -> bool: ...  # noqa: D102 - RetryingMixin's

        def _encode_values(self, values: Mapping[str, Any]) -> Contents: ...

        def _send_body(self, body: Any, progress: ChordProgress) -> bool: ...

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Context | None = None,
        store_result: bool = True,
        state: str = states.SUCCESS,
    ) -> None:
        """Store the result of a task and, of a header task, count it (called by the worker)."""
        if _is_part(request):
            setattr(request, RETURNING, _Returning(follows=True))
        super().mark_as_done(task_id, result, request, store_result, state)

    def _store(self, request: Context | None, task: StoredTask) -> bool:
        """Store the state of a task; count a header task with it where that can be done."""
        if not _is_part(request):
            return bool(self._require("store_task", task=task))
        follows = getattr(getattr(request, RETURNING, None), "follows", False)
        returning = _Returning(contents=self._brought(task))
        setattr(request, RETURNING, returning)
        if follows and self._counts_with_store:
            done = self._try_both(task, self._part(request, task.status, returning.contents))
            if done is not None:
                returning.counted = done.counted
                return done.written
        return bool(self._require("store_task", task=task))

    def _try_both(self, task: StoredTask, part: ChordPart) -> StoredPart | None:
        """Store and count in one step; ``None`` where it cannot be done, or went wrong.

        One after the other is tried then, each again and again: a chord that cannot be
        counted must not keep the result from being stored.
        """
        try:
            done = self.hooks.call("store_part", storage=self.storage, task=task, part=part)
            if done is not None and not isinstance(done, StoredPart):
                kind = type(done).__name__
                raise HookError(f"The hook 'store_part' has to give a StoredPart, not {kind}")  # noqa: TRY301 - it went wrong too
        except Exception as error:  # noqa: BLE001 - whatever it is, as said
            logger.warning(
                "Task %s could not be stored and counted in one step: %s. "
                "One is tried after the other",
                task.task_id,
                described(error),
            )
            # Asking replaces a connection that is lost.
            self.exception_safe_to_retry(error)
            return None
        return done

    @cached_property
    def _counts_with_store(self) -> bool:
        """Whether no plugin misses a call where the storage stores and counts in one."""
        either = map(self.hooks.implementers, ("store_task", "chord_part_returned"))
        both = self.hooks.implementers("store_part")
        return self.hooks.storage in both and both.issuperset(set().union(*either))

    def on_chord_part_return(
        self, request: Context, state: str, result: Any, **kwargs: Any
    ) -> None:
        """Count a finished header task; the last one to return sends the body."""
        if not (request.id and request.group):
            return
        returning: _Returning | None = getattr(request, RETURNING, None)
        contents = None
        if returning is not None:
            # For this call: the next one is another delivery.
            setattr(request, RETURNING, None)
            if returning.counted:
                return
            contents = returning.contents
        if contents is None:
            contents = self._unstored(request, state, result)
        part = self._part(request, state, contents)
        progress: ChordProgress | None = self._persist("chord_part_returned", part=part)
        if progress is None:
            logger.info(
                "Task %s returned to chord %s, which is finished or was never started",
                part.task_id,
                part.group_id,
            )
        elif progress.claimed:
            # The stubs take a chord to be a name; Celery puts the body's signature there.
            body: Any = request.chord
            self._send_body(maybe_signature(body, app=self.app), progress)

    def _part(self, request: Context, state: str, contents: Contents | None) -> ChordPart:
        return ChordPart(
            group_id=cast("str", request.group),
            task_id=bytes_to_str(cast("str", request.id)),
            status=state,
            group_index=getattr(request, "group_index", None),
            contents=contents,
            claimant=uuid4().hex,
        )

    def _brought(self, task: StoredTask) -> Contents | None:
        """Return the result that a part brings, as it may be gone before the chord ends."""
        seconds = task.retention.seconds if task.retention else None
        if seconds is None or seconds >= results_settings.expire_unfinished_after:
            return None
        return result_of(task.contents)

    def _unstored(self, request: Context, state: str, result: Any) -> Contents | None:
        """Return the encoded result of a task that does not keep it, so that the chord has it."""
        task = self.app.tasks.get(getattr(request, "task", None) or "")
        if not (getattr(request, "ignore_result", None) or getattr(task, "ignore_result", False)):
            return None
        return self._encode_values({"result": self.encode_result(result, state)})


def _is_part(request: Context | None) -> TypeGuard[Context]:
    """Return whether the request is that of a header task."""
    return bool(getattr(request, "chord", None)) and bool(getattr(request, "group", None))


def result_of(contents: Contents) -> Contents:
    """Return the contents without what a chord does not need."""
    return replace(contents, fields={"result": contents.fields["result"]})
