"""Finding results by their labels."""

from __future__ import annotations

from django.db.models import Q

from .text import require_name, text_of

__all__ = ["labelled"]


def labelled(**values: object) -> Q:
    """Return a condition for the results that have all these labels.

    It is for querysets of :class:`~django_celery_results.models.TaskResult`, and combines with
    other conditions: ``TaskResult.objects.filter(labelled(tenant=3), status="FAILURE")``.
    Values are compared as text, so 3 and ``"3"`` are equal. Raises ``ValueError`` for an
    invalid label.
    """
    from .models import Label

    condition = Q()
    for name, value in values.items():
        rows = Label.objects.filter(name=require_name(name), value=text_of(value))
        condition &= Q(task_id__in=rows.values("task_id"))
    return condition
