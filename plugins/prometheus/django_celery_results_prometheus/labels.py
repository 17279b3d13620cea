"""The values of labels: never more of them than a site says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Lock

from celery import states

from .options import options

__all__ = ["OTHER", "UNKNOWN", "BoundedLabel", "state_label", "task_label"]

#: Stands for all values beyond the bound.
OTHER = "other"
#: Stands for a task of which no name is known.
UNKNOWN = "unknown"


class BoundedLabel:
    """Tells apart the values that it was shown first, as many as ``limit`` says."""

    def __init__(self, limit: Callable[[], int], always: Collection[str] = ()) -> None:
        self.limit = limit
        #: Values that do not count.
        self.always = frozenset(always)
        self._seen: set[str] = set()
        self._lock = Lock()

    def __call__(self, value: str | None) -> str:
        """Return the label's value for ``value``."""
        if value is None:
            return UNKNOWN
        if value in self._seen or value in self.always:
            return value
        with self._lock:
            if len(self._seen) >= self.limit():
                return OTHER
            self._seen.add(value)
        return value

    def forget(self) -> None:
        """Begin anew."""
        self._seen.clear()


#: The label of a task's name.
task_label = BoundedLabel(lambda: options.max_tasks)
#: The label of a state; Celery's own are always told apart.
state_label = BoundedLabel(lambda: options.max_states, states.ALL_STATES)
