"""The plugin's Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["LabelsConfig"]


class LabelsConfig(AppConfig):
    """Attaches the labels to every task that this process sends."""

    name = "django_celery_results_labels"
    verbose_name = _("Celery Result Labels")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect to Celery's signal for sent tasks."""
        from celery.signals import before_task_publish

        from .sending import attach_labels

        before_task_publish.connect(attach_labels, dispatch_uid=f"{self.name}.attach_labels")
