"""Results of one backend over any storage."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from django.test import override_settings

from django_celery_results import hookimpl
from tests.memory import Memory, make_app

if TYPE_CHECKING:
    from django_celery_results.records import StoredTask

    Present: TypeAlias = Callable[[Sequence[str] | None], StoredTask | None]


class Curious:
    """Records the stored state of a task before and after each change."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, str | None]] = []

    @hookimpl(wrapper=True)
    def store_task(self, present: Present) -> Generator[None, bool, bool]:
        """Read before and after the store."""
        before = present(None)
        answer = yield
        self.seen.append((_status(before), _status(present(()))))
        return answer

    @hookimpl(wrapper=True)
    def forget_task(self, present: Present) -> Generator[None, bool, bool]:
        """Read before and after the deletion."""
        before = present(["result"])
        answer = yield
        self.seen.append((_status(before), _status(present(None))))
        return answer


def _status(task: StoredTask | None) -> str | None:
    return None if task is None else task.status


def test_wrappers_learn_what_a_change_replaces() -> None:
    """``present`` reads the storage at the moment of the call."""
    memory, curious = Memory(), Curious()
    memory.broken = False
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [memory, curious]}):
        backend = make_app().backend
        for status in ("STARTED", "SUCCESS"):
            backend.store_result("a task", None, status)
        backend.forget("a task")
    assert [(None, "STARTED"), ("STARTED", "SUCCESS"), ("SUCCESS", None)] == curious.seen
