"""What processes do in a storm of deadlocks; see :mod:`tests.processes` for how they run."""

from __future__ import annotations

import random
import time
from typing import Any

from tests.processes import store_results

from django.db import OperationalError, connections, transaction  # isort: skip  Django is set up

from django_celery_results.models import TaskResult  # isort: skip


__all__ = ["store_or_disturb"]

#: Seconds for which the disturbers go on.
DURATION = 4


def store_or_disturb(number: int, url: str, rounds: int) -> dict[str, Any]:
    """Store results in a process of even number; in an odd one be in the way of the others."""
    options: Any = connections["default"].settings_dict["OPTIONS"]
    options["isolation_level"] = "repeatable read"
    if number % 2:
        _disturb(rounds)
        return {}
    return store_results(number, url, rounds)


def _disturb(rounds: int) -> None:
    """Lock rows in any order and hold them for a moment: whoever does the same may deadlock."""
    end = time.monotonic() + DURATION
    while time.monotonic() < end:
        try:
            with transaction.atomic():
                for one in random.sample(range(rounds), 3):
                    TaskResult.objects.filter(task_id__gte=f"t{one}").update(worker="storm")
        except OperationalError:
            continue  # One that lost: it is not this one's errors that are looked at.
