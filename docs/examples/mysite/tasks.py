"""The site's tasks."""

from celery import shared_task


@shared_task
def add(left, right):
    """Return the sum."""
    return left + right
