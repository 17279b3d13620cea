"""Sending tasks with labels, and finding their results."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from django_celery_results.models import TaskResult
from django_celery_results_labels import labelled, labels


@shared_task
def report() -> str:
    """Write a report."""
    return "written"


def report_to(tenant: int) -> None:
    """Label every task sent in the block."""
    with labels(tenant=tenant, user="x"):
        report.delay()


def report_once(tenant: int) -> None:
    """Label a single task; its header takes precedence over a block."""
    headers: dict[str, Any] = {"labels": {"tenant": tenant}}
    report.apply_async(headers=headers)


def failures_of(tenant: int) -> Any:
    """Find the results that have a label and meet other conditions."""
    return TaskResult.objects.filter(labelled(tenant=tenant), status="FAILURE")
