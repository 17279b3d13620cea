"""Outcomes of canvases, described so that two runs of one canvas compare as equal."""

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
    """Everything about a canvas that is visible from outside."""

    #: The result, its chain of parents, and the children of all of these.
    results: Any
    #: The notes of errbacks, callbacks and bodies, sorted because several processes write them.
    notes: list[str]

    @property
    def is_pending(self) -> bool:
        """Whether the result, or one of the results in its group, is pending."""
        return any(one["state"] == "PENDING" for one in self.results.get("group", [self.results]))


class Recorder:
    """Reads outcomes, and replaces ids with numbers in the order in which it meets them."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.labels: dict[str, str] = {}

    def outcome(self, result: Any, key: str) -> Outcome:
        """Return what is stored for ``result`` and noted under ``key``."""
        if result is None:
            # An empty chain gives None.
            return Outcome({"group": []}, [])
        # An error may name a task that gets its number only later.
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
        # A new result object, because a used one keeps the first final state that it read.
        result: Any = self.app.AsyncResult(task_id)
        found = {
            "state": result.state,
            "value": _written(result.result),
            "traceback": bool(result.traceback),
        }
        # The children of a failed chord depend on which header task returned last.
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
