"""What became of a canvas, in words that are the same for two runs of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.result import ResultSet

from tests.integration import notes

if TYPE_CHECKING:
    from celery import Celery

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Outcome:
    """All that can be seen of a canvas from outside."""

    #: The result, the results that come before it, and the children of all of these.
    results: Any
    #: What errbacks, callbacks and bodies noted, in no order: several processes write.
    notes: list[str]

    @property
    def is_pending(self) -> bool:
        """Whether the result, or one of its group, is not there."""
        return any(one["state"] == "PENDING" for one in self.results.get("group", [self.results]))


class Recorder:
    """Reads an outcome; ids are replaced by the order in which they are met."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.labels: dict[str, str] = {}

    def outcome(self, result: Any, key: str) -> Outcome:
        """Return what is stored of ``result`` and noted under ``key``."""
        if result is None:
            # That of an empty chain.
            return Outcome({"group": []}, [])
        # An error may name a task that is only met later.
        named = self._without_ids(self._described(result))
        return Outcome(named, sorted(self._without_ids(notes.read(key))))

    def _described(self, result: Any) -> Any:
        known = result.id in self.labels
        label = self.labels.setdefault(result.id, f"#{len(self.labels)}")
        if known:
            return label
        found = self._group(result) if isinstance(result, ResultSet) else self._task(result.id)
        if parent := getattr(result, "parent", None):
            found["parent"] = self._described(parent)
        return {"id": label, **found}

    def _group(self, result: Any) -> dict[str, Any]:
        return {"group": [self._described(one) for one in result.results]}

    def _task(self, task_id: str) -> dict[str, Any]:
        # A new result object: one that was looked at keeps what it saw first.
        result: Any = self.app.AsyncResult(task_id)
        found = {
            "state": result.state,
            "value": _written(result.result),
            "traceback": bool(result.traceback),
        }
        # A chord that failed has the children of whichever header task was the last to return.
        if result.successful() and result.children:
            found["children"] = [self._described(child) for child in result.children]
        return found

    def _without_ids(self, found: Any) -> Any:
        if isinstance(found, dict):
            return {key: self._without_ids(value) for key, value in found.items()}
        if isinstance(found, list):
            return [self._without_ids(one) for one in found]
        if isinstance(found, str):
            return UUID.sub(lambda match: self.labels.get(match[0], "#?"), found)
        return found


def _written(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__qualname__}: {value}"
    return repr(value)
