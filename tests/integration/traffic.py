"""How many messages of a worker are still under way.

A canvas that is done cannot be told from one that will never end by looking at its result. But a
task is sent by another task before that one ends: so once every message that was sent has been
worked off, nothing can come any more, and what is pending then stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals

from tests.integration import notes


def watch(name: str) -> None:
    """Count, from now on and under ``name``, what this process sends and works off."""

    def sent(sender: Any, headers: Any, **_rest: Any) -> None:
        notes.write(_key(name), f"sent {headers['id']} {sender}")

    def ended(sender: Any, task_id: str, **_rest: Any) -> None:
        notes.write(_key(name), f"ended {task_id} {sender.name}")

    signals.before_task_publish.connect(sent, weak=False, dispatch_uid="traffic")
    signals.task_postrun.connect(ended, weak=False, dispatch_uid="traffic")


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Count under ``name`` what is sent in the block."""
    watch(name)
    try:
        yield
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="traffic")
        signals.task_postrun.disconnect(dispatch_uid="traffic")


def under_way(name: str) -> list[str]:
    """Return id and name of every task that was sent and has not ended."""
    # One file, read in one go: two would be as old as the moments when they were read.
    count: Counter[str] = Counter()
    for line in notes.read(_key(name)):
        event, _, task = line.partition(" ")
        count[task] += 1 if event == "sent" else -1
    return [task for task, number in count.items() if number > 0]


def _key(name: str) -> str:
    return f"traffic-{name}"
