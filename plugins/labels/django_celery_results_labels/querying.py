"""Finding results by their labels."""

from __future__ import annotations

from django.db.models import Q

from .text import require_name, text_of

__all__ = ["labelled"]


def labelled(**values: object) -> Q:
    """Return the condition of results that have all these labels.

    It is for querysets of :class:`~django_celery_results.models.TaskResult`, beside any
    other condition: ``TaskResult.objects.filter(labelled(tenant=3), status="FAILURE")``.
    Values are compared as text, so that 3 and ``"3"`` are the same. Raises
    ``ValueError`` for what cannot be a label.
    """
    from .models import Label

    condition = Q()
    for name, value in values.items():
        rows = Label.objects.filter(name=require_name(name), value=text_of(value))
        condition &= Q(task_id__in=rows.values("task_id"))
    return condition
