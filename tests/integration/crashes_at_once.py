"""Like :mod:`tests.integration.crashes`, for parts that are stored and counted in one step.

A separate plugin, because a plugin that wraps one of the two hooks makes them two steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_celery_results import hookimpl
from tests.integration.crashes import die

if TYPE_CHECKING:
    from collections.abc import Generator

    from django_celery_results.records import StoredPart, StoredTask

#: The plugin's name.
django_celery_results_name = "crashes_at_once"

STEPS = ("before_both", "after_both")


@hookimpl(wrapper=True)
def store_part(task: StoredTask) -> Generator[None, StoredPart | None, StoredPart | None]:
    """Die before a part is stored and counted, or afterwards."""
    die("before_both", task.task_id)
    done = yield
    if done is not None and done.counted:
        die("after_both", task.task_id)
    return done
