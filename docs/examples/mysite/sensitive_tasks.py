"""A task with a secret among its arguments and variables."""

from celery import shared_task
from django.views.decorators.debug import sensitive_variables


@shared_task
@sensitive_variables("password", "key")
def unlock(user, password):
    """Fail with a message that contains the secret."""
    key = f"{user}/{password}"
    raise ValueError(f"no door opens with {key}")
