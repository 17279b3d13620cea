"""Chords without polling: the storage counts the parts, and one caller sends the body once.

The storage counts each distinct part, and gives one caller the claim. That caller joins the
header's stored results, sends the body, and only then has the storage forget the chord. If a
worker dies at any point in between, the chord can still be finished: by a part that returns
again, or by :meth:`Chords.finish_all`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery import maybe_signature, states
from celery.exceptions import ChordError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.utils.encoding import safe_repr

from ..exceptions import ResultUnavailable
from ..logs import apart
from ..records import ChordPart, ChordProgress, ChordRecord, Contents, UnfinishedChord, leaf_ids
from ..utils import text_id
from .results import result_alone
from .translation import leaf_signatures, plain
from .waiting import Pace

if TYPE_CHECKING:
    from celery import Celery

    from ..records import ResultTuple, StoredTask
    from .results import Results

__all__ = ["Chords"]

logger = logging.getLogger(__name__)


class Chords:
    """The chords of one backend: started, joined, and finished by sending their bodies."""

    def __init__(self, app: Celery, results: Results) -> None:
        self.app = app
        self.results = results

    def start(self, group_id: str, members: Sequence[ResultTuple], body: Any) -> None:
        """Record the chord before its header is sent."""
        size = len(set(leaf_ids(members)))
        stored = self._encode_body(group_id, body)
        chord = ChordRecord(group_id=group_id, size=size, results=members, body=stored)
        recount = partial(self._recount, chord, body)
        self.results.call("start_chord", chord=chord, recount=recount)

    def _recount(self, chord: ChordRecord, body: Any) -> None:
        """Count the parts that ended before they could find the chord; send the body if due."""
        if self._was_sent(body):
            # Its parts could find it after all, and have finished it.
            self.results.call("finish_chord", group_id=chord.group_id)
            return
        begun = UnfinishedChord(
            group_id=chord.group_id, results=chord.results, counted=(), waiting=chord.size
        )
        self._send_if_ended(begun, body)

    def _encode_body(self, group_id: str, body: Any) -> Contents | None:
        """Return the encoded body; without it the chord works, but only parts can finish it."""
        try:
            return self.results.encode({"body": plain(body)})
        except Exception:
            logger.info("The body of chord %s cannot be stored", group_id, exc_info=True)
            return None

    def resize(
        self, group_id: str, size: int | None = None, added: Sequence[ResultTuple] = ()
    ) -> None:
        """Set the size of a chord, or make it longer by the results ``added``."""
        self.results.call("resize_chord", group_id=group_id, size=size, added=added)

    # -- The body --------------------------------------------------------------------

    def send_body(self, body: Any, progress: ChordProgress) -> bool:
        """Send the body of a claimed chord, or fail it; return false if neither is possible now."""
        group_id = progress.group_id
        if progress.reclaimed and self._was_sent(body):
            logger.warning("Chord %s: a worker that died had sent the body already", group_id)
        elif not self._join_and_send(body, progress):
            return False
        # Not earlier, so that another worker can finish the chord if this one dies before.
        handled = sys.exc_info()[1]
        try:
            self.results.call("finish_chord", group_id=group_id)
        except Exception as error:
            message = "Chord %s has been dispatched but could not be deleted"
            logger.exception(message, group_id, exc_info=apart(error, handled))
        return True

    def _was_sent(self, body: Any) -> bool:
        """Return whether a state is stored for any of the tasks that make up the body."""
        ids = [text_id(one["options"].get("task_id")) for one in leaf_signatures(body)]
        found = self.results.load([one for one in ids if one], primary=True, contents=["result"])
        return any(map(self._has_begun, found))

    def _has_begun(self, stored: StoredTask) -> bool:
        """Return whether the task runs or ran; an empty PENDING says only that it was sent."""
        if stored.status != states.PENDING:
            return True
        return (
            self.results.decode("a chord's body", result_alone(stored.contents))["result"]
            is not None
        )

    def _join_and_send(self, body: Any, progress: ChordProgress) -> bool:
        group_id, handled = progress.group_id, sys.exc_info()[1]
        try:
            values = self._join(progress)
        except ChordError as error:
            # The traceback of the body is stored unmasked: the last part's error must not be in it.
            self._fail(body, apart(error, handled))
        except Exception as error:
            error = apart(error, handled)
            logger.exception("Chord %s cannot be joined", group_id, exc_info=error)
            if isinstance(error, ResultUnavailable) and self._comes_again(group_id):
                logger.warning("Chord %s is left to the next cleanup", group_id)
                return False
            self._fail(body, _caused(f"Join error: {error!r}", error))
        else:
            self._publish(body, values, group_id)
        return True

    def _comes_again(self, group_id: str) -> bool:
        """Return whether :meth:`finish_all` will find the chord and its body."""
        chords = self.unfinished() or ()
        return any(one.group_id == group_id and one.body is not None for one in chords)

    def _publish(self, body: Any, values: list[Any], group_id: str) -> None:
        handled = sys.exc_info()[1]
        try:
            body.delay(values)
        except Exception as error:
            error = apart(error, handled)
            logger.exception("The body of chord %s could not be sent", group_id, exc_info=error)
            self._fail(body, _caused(f"Callback error: {error!r}", error))

    def _fail(self, body: Any, error: ChordError) -> None:
        """Store ``error`` as the result of the body, and call its errbacks."""
        self.results.backend.chord_error_from_stack(body, error)

    def _join(self, progress: ChordProgress) -> list[Any]:
        """Return the header's values, nested as the header is; raise for the first failure."""
        metas = self._header_metas(progress)
        for task_id in leaf_ids(progress.results):
            status = metas[task_id]["status"]
            if status in states.PROPAGATE_STATES:
                cause = metas[task_id]["result"]
                # Without the cause's message: Celery has already logged it if the site wants that.
                _log_failure(progress, task_id, f"ended as {status}")
                raise _caused(f"Dependency {task_id} raised {safe_repr(cause)}", cause)
        return _nested(progress.results, metas)

    def _header_metas(self, progress: ChordProgress) -> dict[str, dict[str, Any]]:
        metas = {part.task_id: self._part_meta(part) for part in progress.parts}
        wanted = [one for one in leaf_ids(progress.results) if one not in metas]
        # Every part is stored before it returns. Waiting is for chords that 2.6 miscounted, and
        # for results that cannot be read now.
        pace = Pace(self.app.conf.result_chord_join_timeout, interval=0.5)
        while wanted:
            away: ResultUnavailable | None = None
            # From the primary: a replica may lag behind the last part.
            for stored in self.results.load(wanted, primary=True, contents=["result"]):
                if not stored.is_ready:
                    continue
                try:
                    metas[stored.task_id] = self.results.meta_or_error(stored, can_wait=True)
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
            value = self.results.decode(what, part.contents)["result"]
        if part.status in states.EXCEPTION_STATES:
            value = self.results.backend.exception_to_python(value)
        return {"status": part.status, "result": value}

    # -- Chords whose worker died ----------------------------------------------------

    def unfinished(self) -> Iterable[UnfinishedChord] | None:
        """Return the chords that are under way; ``None`` when the storage cannot list them."""
        found: Iterable[UnfinishedChord] | None = self.results.call("unfinished_chords")
        return found

    def body_of(self, chord: UnfinishedChord) -> Any:
        """Return the signature of the chord's body, or ``None`` if it is not stored.

        Raises :class:`ResultUnreadable` when the stored body cannot be decoded.
        """
        if chord.body is None:
            return None
        what = f"the body of chord {chord.group_id!r}"
        return maybe_signature(self.results.decode(what, chord.body)["body"], app=self.app)

    def finish_all(self) -> int:
        """Finish the chords whose last worker died; return how many were finished.

        Header tasks that ended but were not counted are counted, and bodies whose claim has
        expired are sent. If finishing a chord fails, the error is logged and the chord is kept.
        """
        finished = 0
        for chord in self.unfinished() or ():
            try:
                finished += self._finish_if_ended(chord)
            except Exception:
                logger.exception("Chord %s could not be finished", chord.group_id)
        return finished

    def _finish_if_ended(self, chord: UnfinishedChord) -> bool:
        body = self.body_of(chord)
        if body is None:
            self._report_unknown_body(chord)
            return False
        return self._send_if_ended(chord, body)

    def _send_if_ended(self, chord: UnfinishedChord, body: Any) -> bool:
        for part in self._parts_to_return(chord):
            progress: ChordProgress | None = self.results.call("chord_part_returned", part=part)
            if progress is None:
                # The chord's own workers have finished it since it was listed.
                return False
            if progress.claimed:
                return self.send_body(body, progress)
        return False

    def _parts_to_return(self, chord: UnfinishedChord) -> Iterator[ChordPart]:
        """Yield the parts that ended but were not counted; if all were counted, any one part."""
        # With their results, which may expire before the chord ends.
        ended: list[tuple[str, str, Contents | None]] = [
            (stored.task_id, stored.status, result_alone(stored.contents))
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
        stored = self.results.load(list(ids), primary=True, contents=contents)
        return [one for one in stored if one.is_ready]

    def _report_unknown_body(self, chord: UnfinishedChord) -> None:
        ended = {*chord.counted, *(stored.task_id for stored in self._uncounted(chord))}
        if ended.issuperset(leaf_ids(chord.results)):
            logger.warning(
                "Chord %s has ended, but its body is not stored and cannot be sent from here. "
                "The chord is kept until it expires",
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
        _log_failure(progress, missing[0], "no longer has a result")
        raise ChordError(
            f"Dependency {missing[0]} no longer has a result ({len(missing)} in all): "
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
