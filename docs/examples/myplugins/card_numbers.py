"""Keep card numbers out of stored results."""

import re

from django_celery_results import hookimpl

CARD_NUMBER = re.compile(r"\b(?:\d[ -]?){12}(\d{4})\b")


@hookimpl
def before_store(task):
    """Mask all but the last four digits of each card number in a result."""
    if isinstance(task.result, str):
        task.result = CARD_NUMBER.sub(r"****\1", task.result)
