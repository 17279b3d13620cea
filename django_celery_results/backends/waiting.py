"""Waiting for results: many ids in one query, soon at first and then at leisure."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from celery import states
from celery.backends.base import Backend
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.utils.encoding import bytes_to_str

if TYPE_CHECKING:
    from ..records import StoredTask

__all__ = ["Pace", "WaitingMixin"]

#: Seconds before the second look; each further wait is twice as long.
FIRST_WAIT = 0.01


class Pace:
    """The waits between looks: short at first, never over the interval, never past the end."""

    def __init__(self, timeout: float | None, interval: float | None) -> None:
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.interval = 0.5 if interval is None else interval
        self.next_wait = min(FIRST_WAIT, self.interval)

    def wait(self) -> None:
        """Sleep until the next look, or raise Celery's ``TimeoutError`` when time is up."""
        wait = self.next_wait
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise CeleryTimeoutError("The operation timed out.")
            wait = min(wait, left)
        time.sleep(wait)
        self.next_wait = min(self.next_wait * 2, self.interval)


class WaitingMixin(Backend):
    """Celery's ``wait_for`` and ``get_many`` for storages that have to be asked."""

    if TYPE_CHECKING:
        _cache: Any

        def _ensure_not_eager(self) -> None: ...

        def _load(self, task_ids: list[str]) -> list[StoredTask]: ...

        def _meta_or_error(self, stored: StoredTask) -> dict[str, Any]: ...

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        """Return the task's meta once it is in a final state.

        ``interval`` is the longest wait between two looks, ``timeout`` the longest in
        all, both in seconds. Raises :exc:`celery.exceptions.TimeoutError`.
        """
        self._ensure_not_eager()
        pace = Pace(timeout, interval)
        while True:
            meta = self.get_task_meta(task_id)
            if meta["status"] in states.READY_STATES:
                return meta
            if on_interval:
                on_interval()
            pace.wait()

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float | None = 0.5,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        max_iterations: int | None = None,
        READY_STATES: Iterable[str] = states.READY_STATES,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id and the meta of each task as it gets to one of ``READY_STATES``.

        A result that cannot be read is yielded as a failure with its error. Raises
        :exc:`celery.exceptions.TimeoutError` after ``timeout`` seconds.
        """
        self._ensure_not_eager()
        waiting = {bytes_to_str(task_id): None for task_id in task_ids}
        pace = Pace(timeout, interval)
        rounds = 0
        while True:
            for task_id, meta in self._newly_ready(list(waiting), frozenset(READY_STATES)):
                # Not `del`: MariaDB's usual collation finds "A" where "a" was asked for.
                waiting.pop(task_id, None)
                if on_message is not None:
                    on_message(meta)
                yield task_id, meta
            rounds += 1
            if not waiting or rounds == max_iterations:
                return
            if on_interval is not None:
                on_interval()
            pace.wait()

    def _newly_ready(
        self, task_ids: list[str], ready: frozenset[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        unknown = []
        for task_id in task_ids:
            meta = self._cache.get(task_id)
            if meta is not None and meta["status"] in ready:
                yield task_id, meta
            else:
                unknown.append(task_id)
        for stored in self._load(unknown):
            if stored.status in ready:
                meta = self._meta_or_error(stored)
                if meta["status"] == states.SUCCESS:
                    self._cache[stored.task_id] = meta
                yield stored.task_id, meta
