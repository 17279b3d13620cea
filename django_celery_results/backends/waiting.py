"""Waiting for results: many ids in one query, at intervals that grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError

from ..utils import text_id

if TYPE_CHECKING:
    from .results import Results

    Meta = dict[str, Any]

__all__ = ["Pace", "wait_for", "wait_for_many"]

#: Seconds before the second read; each further wait is twice as long.
FIRST_WAIT = 0.01


class Pace:
    """The waits between reads: short at first, then up to the interval, never past the deadline."""

    def __init__(self, timeout: float | None, interval: float | None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.interval = 0.5 if interval is None else interval
        self.next_wait = min(FIRST_WAIT, self.interval)

    def wait(self) -> None:
        """Sleep until the next read, or raise Celery's ``TimeoutError`` after the deadline."""
        wait = self.next_wait
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise CeleryTimeoutError("The operation timed out.")
            wait = min(wait, left)
        time.sleep(wait)
        self.next_wait = min(self.next_wait * 2, self.interval)


def wait_for(
    get_meta: Callable[[], Meta], pace: Pace, on_interval: Callable[[], Any] | None
) -> Meta:
    """Return the meta once its state is final; call ``on_interval`` after each earlier read.

    Raises :exc:`celery.exceptions.TimeoutError`.
    """
    while True:
        meta = get_meta()
        if meta["status"] in states.READY_STATES:
            return meta
        if on_interval:
            on_interval()
        pace.wait()


def wait_for_many(
    results: Results,
    cache: MutableMapping[str, Meta],
    task_ids: Iterable[str],
    pace: Pace,
    *,
    on_message: Callable[[Meta], Any] | None,
    on_interval: Callable[[], Any] | None,
    max_iterations: int | None,
    ready_states: Iterable[str],
) -> Iterator[tuple[str, Meta]]:
    """Yield the id and the meta of each task as it reaches one of ``ready_states``.

    The id is the object that ``task_ids`` holds: Celery's ``join_native`` looks it up again.
    ``cache`` holds metas that were read before; those of successful tasks are added to it. A
    result that cannot be read is yielded as a failure with its error. Raises
    :exc:`celery.exceptions.TimeoutError`.
    """
    waiting = {text_id(task_id): task_id for task_id in task_ids}
    ready = frozenset(ready_states)
    rounds = 0
    while True:
        for task_id, meta in _newly_ready(results, cache, list(waiting), ready):
            # Not `del`: MariaDB's default collation ignores case, and finds "A" for the id "a".
            asked = waiting.pop(task_id, task_id)
            if on_message is not None:
                on_message(meta)
            yield asked, meta
        rounds += 1
        if not waiting or rounds == max_iterations:
            return
        if on_interval is not None:
            on_interval()
        pace.wait()


def _newly_ready(
    results: Results, cache: MutableMapping[str, Meta], task_ids: list[str], ready: frozenset[str]
) -> Iterator[tuple[str, Meta]]:
    unknown = []
    for task_id in task_ids:
        meta = cache.get(task_id)
        if meta is not None and meta["status"] in ready:
            yield task_id, meta
        else:
            unknown.append(task_id)
    for task_id, meta in results.metas_in(ready, unknown):
        if meta["status"] == states.SUCCESS:
            cache[task_id] = meta
        yield task_id, meta
