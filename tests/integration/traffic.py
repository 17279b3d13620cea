"""Track which messages of a worker are still under way.

A pending result does not show whether its canvas is still running or will never end. But a task
sends its messages before it ends. So once every message that was sent has been processed, no more
can come, and a result that is pending then stays pending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals

from tests.integration import notes


def watch(name: str) -> None:
    """Record under ``name`` which messages this process sends and processes from now on."""

    def sent(sender: Any, headers: Any, **_rest: Any) -> None:
        notes.write(_key(name), f"sent {headers['id']} {sender}")

    def ended(sender: Any, task_id: str, **_rest: Any) -> None:
        notes.write(_key(name), f"ended {task_id} {sender.name}")

    signals.before_task_publish.connect(sent, weak=False, dispatch_uid="traffic")
    signals.task_postrun.connect(ended, weak=False, dispatch_uid="traffic")


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Record under ``name`` which messages are sent in the block."""
    watch(name)
    try:
        yield
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="traffic")
        signals.task_postrun.disconnect(dispatch_uid="traffic")


def under_way(name: str) -> list[str]:
    """Return the id and name of every task that was sent and has not ended."""
    # One file for both events, read at once: two files would be read at different moments.
    count: Counter[str] = Counter()
    for line in notes.read(_key(name)):
        event, _, task = line.partition(" ")
        count[task] += 1 if event == "sent" else -1
    return [task for task, number in count.items() if number > 0]


def _key(name: str) -> str:
    return f"traffic-{name}"
