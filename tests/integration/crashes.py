"""A plugin of a worker that kills it at one step of a chord, once.

Which step, and whether the whole worker goes or one process of its pool, the ids of the
header's tasks say: :func:`part_id`.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from django_celery_results import hookimpl
from tests.integration import notes

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from django_celery_results.records import ChordPart, ChordProgress, StoredTask

#: The plugin's name.
django_celery_results_name = "crashes"

STEPS = ("before_store", "after_store", "after_claim", "after_dispatch")

#: The part with which this process was given the claim, by group.
_claims: dict[str, str] = {}


def part_id(key: str, step: str, number: int = 0, *, whole_worker: bool = False) -> str:
    """Return the id of a header task of a chord that dies at ``step``."""
    return f"{'worker' if whole_worker else 'process'}:{step}:{key}:{number}"


def has_died(task_id: str) -> bool:
    """Return whether the chord of this part has met its death."""
    return _mark(task_id).exists()


def _mark(task_id: str) -> Path:
    return notes.DIRECTORY / f"killed-{task_id.rpartition(':')[0]}"


def die(step: str, task_id: str) -> None:
    """Kill whoever runs this if the task's id says that it has to end here, the first time."""
    who, _, rest = task_id.partition(":")
    if not rest.startswith(f"{step}:"):
        return
    notes.DIRECTORY.mkdir(exist_ok=True)
    try:
        _mark(task_id).touch(exist_ok=False)
    except FileExistsError:
        return
    if who == "worker":
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


@hookimpl(wrapper=True)
def store_task(task: StoredTask) -> Generator[None, Any, Any]:
    """Die before a part's result is stored, or after it and before it is counted."""
    if task.is_ready:
        die("before_store", task.task_id)
    written = yield
    if task.is_ready:
        die("after_store", task.task_id)
    return written


@hookimpl(wrapper=True)
def chord_part_returned(
    part: ChordPart,
) -> Generator[None, ChordProgress | None, ChordProgress | None]:
    """Die with the claim on the body."""
    progress = yield
    if progress is not None and progress.claimed:
        die("after_claim", part.task_id)
        _claims[part.group_id] = part.task_id
    return progress


@hookimpl(wrapper=True)
def finish_chord(group_id: str) -> Generator[None, Any, Any]:
    """Die when the body has been sent and the chord is still there."""
    die("after_dispatch", _claims.get(group_id, ""))
    return (yield)
