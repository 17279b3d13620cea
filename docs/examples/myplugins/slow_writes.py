"""A wrapper around any storage: log slow writes."""

import logging
import time

from django_celery_results import hookimpl

logger = logging.getLogger(__name__)

LIMIT = 0.5  # seconds


@hookimpl(wrapper=True)
def store_task(task):
    """Time the inner wrappers and the storage itself."""
    started = time.monotonic()
    try:
        return (yield)
    finally:
        taken = time.monotonic() - started
        if taken > LIMIT:
            logger.warning("Storing task %s took %.1f s", task.task_id, taken)
