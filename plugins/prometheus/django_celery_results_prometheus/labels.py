"""Label values, limited in number by the settings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from threading import Lock

from celery import states

from .options import options

__all__ = ["OTHER", "UNKNOWN", "BoundedLabel", "state_label", "task_label"]

#: Stands for all values above the limit.
OTHER = "other"
#: Stands for a task without a known name.
UNKNOWN = "unknown"


class BoundedLabel:
    """Keeps the first ``limit()`` values that it sees, and replaces all others by ``OTHER``."""

    def __init__(self, limit: Callable[[], int], always: Collection[str] = ()) -> None:
        self.limit = limit
        #: Values that do not count towards the limit.
        self.always = frozenset(always)
        self._seen: set[str] = set()
        self._lock = Lock()

    def __call__(self, value: str | None) -> str:
        """Return the label value for ``value``."""
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
        """Forget all values seen so far."""
        self._seen.clear()


#: The label with the name of a task.
task_label = BoundedLabel(lambda: options.max_tasks)
#: The label with a state; Celery's own states do not count towards the limit.
state_label = BoundedLabel(lambda: options.max_states, states.ALL_STATES)
