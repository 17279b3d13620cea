"""The work of processes that cause many deadlocks; :mod:`tests.processes` runs them."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.processes import store_results

from django.db import OperationalError, connections, transaction  # isort: skip  Django is set up

from django_celery_results.models import TaskResult  # isort: skip


__all__ = ["store_or_disturb"]

#: Seconds for which the disturbing processes run.
DURATION = 4


def store_or_disturb(number: int, url: str, rounds: int) -> dict[str, Any]:
    """In a process with an even number, store results; in the others, lock rows to disturb them."""
    options: Any = connections["default"].settings_dict["OPTIONS"]
    options["isolation_level"] = "repeatable read"
    if number % 2:
        _disturb(rounds)
        return {}
    return store_results(number, url, rounds)


def _disturb(rounds: int) -> None:
    """Lock rows in any order for a moment, so that two such processes may deadlock."""
    end = time.monotonic() + DURATION
    while time.monotonic() < end:
        try:
            with transaction.atomic():
                for one in random.sample(range(rounds), 3):
                    TaskResult.objects.filter(task_id__gte=f"t{one}").update(worker="storm")
        except OperationalError:
            continue  # This process lost a deadlock; the test does not look at its errors.
