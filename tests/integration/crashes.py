"""A plugin that kills its worker once, at one step of a chord.

The ids of the header's tasks say which step, and whether the whole worker dies or only one process
of its pool: see :func:`part_id`.
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

#: By group, the id of the part whose return gave this process the claim.
_claims: dict[str, str] = {}


def part_id(key: str, step: str, number: int = 0, *, whole_worker: bool = False) -> str:
    """Return the id of a header task in a chord whose process or worker dies at ``step``."""
    return f"{'worker' if whole_worker else 'process'}:{step}:{key}:{number}"


def has_died(task_id: str) -> bool:
    """Return whether the crash in this part's chord has happened."""
    return _mark(task_id).exists()


def _mark(task_id: str) -> Path:
    return notes.DIRECTORY / f"killed-{task_id.rpartition(':')[0]}"


def die(step: str, task_id: str) -> None:
    """Kill this process or its whole worker, once, if the task's id names this step."""
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
    """Die before a part's result is stored, or after that but before the part is counted."""
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
    """Die while holding the claim on the body."""
    progress = yield
    if progress is not None and progress.claimed:
        die("after_claim", part.task_id)
        _claims[part.group_id] = part.task_id
    return progress


@hookimpl(wrapper=True)
def finish_chord(group_id: str) -> Generator[None, Any, Any]:
    """Die after the body is sent and before the chord is deleted."""
    die("after_dispatch", _claims.get(group_id, ""))
    return (yield)
