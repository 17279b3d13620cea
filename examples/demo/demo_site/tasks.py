"""The tasks of the demonstration."""

from __future__ import annotations

import time
from typing import Any

from celery import Task, shared_task


class StationSilentError(Exception):
    """The weather station did not answer."""


@shared_task
def add(left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


@shared_task
def total(numbers: list[int]) -> int:
    """Add up the numbers: the body of the chord."""
    return sum(numbers)


@shared_task
def divide(left: int, right: int) -> float:
    """Divide two numbers, which fails if the second is zero."""
    return left / right


@shared_task(bind=True, max_retries=1)
def read_station(self: Task[Any, Any], name: str) -> str:
    """Ask a weather station that stays silent the first time."""
    try:
        return _ask_station(name, self.request.retries)
    except StationSilentError as error:
        raise self.retry(exc=error, countdown=1) from error


def _ask_station(name: str, earlier_calls: int) -> str:
    if earlier_calls == 0:
        raise StationSilentError(f"{name} did not answer")
    return f"{name}: 21 °C"


@shared_task(bind=True)
def bake(self: Task[Any, Any], loaves: int) -> str:
    """Bake loaf by loaf, and report progress in the state BAKING."""
    for done in range(loaves):
        self.update_state(state="BAKING", meta={"done": done, "of": loaves})
        time.sleep(0.6)
    return f"{loaves} loaves"
