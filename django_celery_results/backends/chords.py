"""Chords without polling: parts are counted by the storage, the body is sent once.

The storage counts each distinct part and gives the claim to one of the callers. That
one joins the header from what is stored, sends the body, and only then lets the chord
be forgotten: whatever dies in between leaves a chord that can still be finished, by a part
that returns again or by :meth:`ChordMixin.finish_chords`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import maybe_signature, states
from celery.exceptions import ChordError
from celery.exceptions import TimeoutError as CeleryTimeoutError

from ..exceptions import ResultUnavailable
from ..logs import apart
from ..records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Contents,
    UnfinishedChord,
    leaf_ids,
)
from .chord_bodies import leaf_signatures, plain
from .chord_parts import ChordPartMixin, result_of
from .waiting import Pace

if TYPE_CHECKING:
    from celery.result import AsyncResult

    from ..records import StoredTask

__all__ = ["ChordMixin"]

logger = logging.getLogger(__name__)


class ChordMixin(ChordPartMixin):
    """Celery's chord API over the storage's chord hooks."""

    if TYPE_CHECKING:

        def _load(
            self, task_ids: list[str], primary: bool = ..., contents: Sequence[str] | None = ...
        ) -> list[StoredTask]: ...

        def _meta_or_error(self, stored: StoredTask, *, can_wait: bool = ...) -> dict[str, Any]: ...

        def _decode(self, what: str, contents: Contents) -> Mapping[str, Any]: ...

    def apply_chord(self, header_result_args: Sequence[Any], body: Any, **kwargs: Any) -> None:
        """Note the chord down before its header is sent (called by Celery's ``chord``)."""
        group_id, members = header_result_args[:2]
        results = [result.as_tuple() for result in members]
        size = len(set(leaf_ids(results)))
        stored = self._encode_body(group_id, body)
        chord = ChordRecord(group_id=group_id, size=size, results=results, body=stored)
        self._persist("start_chord", chord=chord)

    def _encode_body(self, group_id: str, body: Any) -> Contents | None:
        """Return the encoded body; without it the chord works, but only parts can finish it."""
        try:
            return self._encode_values({"body": plain(body)})
        except Exception:
            logger.info("The body of chord %s cannot be stored", group_id, exc_info=True)
            return None

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Correct the size, which Celery knows for sure once it has walked the header."""
        self._persist("resize_chord", group_id=group_id, size=chord_size, added=())

    def add_to_chord(self, chord_id: str, result: AsyncResult[Any]) -> None:
        """Make a running chord one longer (``Task.add_to_chord``)."""
        self._persist("resize_chord", group_id=chord_id, size=None, added=[result.as_tuple()])

    # -- The body --------------------------------------------------------------------

    def _send_body(self, body: Any, progress: ChordProgress) -> bool:
        """Send the body, or fail it; return false where neither can be done now."""
        group_id = progress.group_id
        if progress.reclaimed and self._was_sent(body):
            logger.warning("Chord %s: a worker that died had sent the body already", group_id)
        elif not self._join_and_send(body, progress):
            return False
        # Only now: had this worker died above, the chord could still be finished.
        handled = sys.exc_info()[1]
        try:
            self._persist("finish_chord", group_id=group_id)
        except Exception as error:
            message = "Chord %s has been dispatched but could not be deleted"
            logger.exception(message, group_id, exc_info=apart(error, handled))
        return True

    def _was_sent(self, body: Any) -> bool:
        """Return whether anything is known of the tasks that the body consists of."""
        ids = [one["options"].get("task_id") for one in leaf_signatures(body)]
        found = self._load([one for one in ids if one], primary=True, contents=())
        return any(stored.status != states.PENDING for stored in found)

    def _join_and_send(self, body: Any, progress: ChordProgress) -> bool:
        group_id, handled = progress.group_id, sys.exc_info()[1]
        try:
            values = self._join(progress)
        except ChordError as error:
            # What the last part raised could be in the body's traceback: stored, and not masked.
            self.chord_error_from_stack(body, apart(error, handled))
        except Exception as error:
            error = apart(error, handled)
            logger.exception("Chord %s cannot be joined", group_id, exc_info=error)
            if isinstance(error, ResultUnavailable) and self._comes_again(group_id):
                logger.warning("Chord %s is left to the next clean-up", group_id)
                return False
            self.chord_error_from_stack(body, _caused(f"Join error: {error!r}", error))
        else:
            self._publish(body, values, group_id)
        return True

    def _comes_again(self, group_id: str) -> bool:
        """Return whether :meth:`finish_chords` will find the chord, and its body."""
        chords = self.unfinished_chords() or ()
        return any(one.group_id == group_id and one.body is not None for one in chords)

    def _publish(self, body: Any, values: list[Any], group_id: str) -> None:
        handled = sys.exc_info()[1]
        try:
            body.delay(values)
        except Exception as error:
            error = apart(error, handled)
            logger.exception("The body of chord %s could not be sent", group_id, exc_info=error)
            self.chord_error_from_stack(body, _caused(f"Callback error: {error!r}", error))

    def _join(self, progress: ChordProgress) -> list[Any]:
        """Return the header's values, nested as the header is; raise for the first failure."""
        metas = self._header_metas(progress)
        for task_id in leaf_ids(progress.results):
            status = metas[task_id]["status"]
            if status in states.PROPAGATE_STATES:
                cause = metas[task_id]["result"]
                # Not what it raised: Celery has logged that, where it is meant to be seen.
                _log_failure(progress, task_id, f"ended as {status}")
                raise _caused(f"Dependency {task_id} raised {cause!r}", cause)
        return _nested(progress.results, metas)

    def _header_metas(self, progress: ChordProgress) -> dict[str, dict[str, Any]]:
        metas = {part.task_id: self._part_meta(part) for part in progress.parts}
        wanted = [one for one in leaf_ids(progress.results) if one not in metas]
        # Every part is stored before it returns, so there is nothing to wait for but a
        # chord that 2.6 miscounted, and what cannot be read now.
        pace = Pace(self.app.conf.result_chord_join_timeout, interval=0.5)
        while wanted:
            away: ResultUnavailable | None = None
            # The primary: a replica may not have caught up with the last part.
            for stored in self._load(wanted, primary=True, contents=["result"]):
                if not stored.is_ready:
                    continue
                try:
                    metas[stored.task_id] = self._meta_or_error(stored, can_wait=True)
                except ResultUnavailable as error:
                    away = error
            wanted = [task_id for task_id in wanted if task_id not in metas]
            if wanted:
                _wait_for(progress, wanted, pace, away)
        return metas

    def _part_meta(self, part: ChordPart) -> dict[str, Any]:
        value = None
        if part.contents is not None:
            what = f"part {part.task_id!r} of chord {part.group_id!r}"
            value = self._decode(what, part.contents)["result"]
        if part.status in states.EXCEPTION_STATES:
            value = self.exception_to_python(value)
        return {"status": part.status, "result": value}

    # -- Bodies that nobody sent -------------------------------------------------------

    def unfinished_chords(self) -> Iterable[UnfinishedChord] | None:
        """Return the chords that are under way; ``None``: this storage cannot list them."""
        found: Iterable[UnfinishedChord] | None = self._persist("unfinished_chords")
        return found

    def chord_body(self, chord: UnfinishedChord) -> Any:
        """Return the signature of the chord's body, ``None`` when it is not known.

        Raises :class:`ResultUnreadable` when what is stored cannot be decoded.
        """
        if chord.body is None:
            return None
        body = self._decode(f"the body of chord {chord.group_id!r}", chord.body)["body"]
        return maybe_signature(body, app=self.app)

    def finish_chords(self) -> int:
        """Finish the chords whose last worker died; return how many that were.

        A header task that ended and was not counted is counted now, and a body whose
        claim lapsed is sent. What fails in one chord is logged and left as it was.
        """
        finished = 0
        for chord in self.unfinished_chords() or ():
            try:
                finished += self._finish_if_ended(chord)
            except Exception:
                logger.exception("Chord %s could not be finished", chord.group_id)
        return finished

    def _finish_if_ended(self, chord: UnfinishedChord) -> bool:
        body = self.chord_body(chord)
        if body is None:
            self._report_unknown_body(chord)
            return False
        for part in self._parts_to_return(chord):
            progress: ChordProgress | None = self._persist("chord_part_returned", part=part)
            if progress is None:
                # Its own workers have finished it since it was listed.
                return False
            if progress.claimed:
                return self._send_body(body, progress)
        return False

    def _parts_to_return(self, chord: UnfinishedChord) -> Iterator[ChordPart]:
        """Yield what dead workers did not return; for a chord that has all, any part again."""
        # With their results, which may expire before the chord ends.
        ended: list[tuple[str, str, Contents | None]] = [
            (stored.task_id, stored.status, result_of(stored.contents))
            for stored in (self._uncounted(chord, ["result"]) if chord.waiting else ())
        ]
        if chord.counted and not chord.waiting:
            ended = [(chord.counted[0], states.SUCCESS, None)]
        for task_id, status, contents in ended:
            yield ChordPart(
                group_id=chord.group_id,
                task_id=task_id,
                status=status,
                contents=contents,
                claimant=uuid4().hex,
            )

    def _uncounted(self, chord: UnfinishedChord, contents: Sequence[str] = ()) -> list[StoredTask]:
        """Return the header tasks that have ended and were not counted."""
        ids = dict.fromkeys(leaf_ids(chord.results)).keys() - set(chord.counted)
        stored = self._load(list(ids), primary=True, contents=contents)
        return [one for one in stored if one.is_ready]

    def _report_unknown_body(self, chord: UnfinishedChord) -> None:
        ended = {*chord.counted, *(stored.task_id for stored in self._uncounted(chord))}
        if ended.issuperset(leaf_ids(chord.results)):
            logger.warning(
                "Chord %s has ended and its body, which is not known, cannot be sent from here. "
                "It is kept until it expires",
                chord.group_id,
            )


def _log_failure(progress: ChordProgress, task_id: str, why: str) -> None:
    logger.error("Chord %s failed: its task %s %s", progress.group_id, task_id, why)


def _wait_for(
    progress: ChordProgress, missing: list[str], pace: Pace, away: ResultUnavailable | None
) -> None:
    try:
        pace.wait()
    except CeleryTimeoutError:
        if away is not None:
            raise away from None
        _log_failure(progress, missing[0], "has no result any more")
        raise ChordError(
            f"Dependency {missing[0]} has no result any more ({len(missing)} in all): "
            "it was forgotten, has expired, or never finished"
        ) from None


def _caused(message: str, cause: object) -> ChordError:
    error = ChordError(message)
    if isinstance(cause, BaseException):
        error.__cause__ = cause
    return error


def _nested(results: Sequence[Any], metas: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    return [
        metas[result_id]["result"] if children is None else _nested(children, metas)
        for (result_id, _parent), children in results
    ]
