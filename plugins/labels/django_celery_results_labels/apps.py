"""The app as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["LabelsConfig"]


class LabelsConfig(AppConfig):
    """Lets every task that this process sends carry its labels."""

    name = "django_celery_results_labels"
    verbose_name = _("Celery Result Labels")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what Celery sends."""
        from celery.signals import before_task_publish

        from .sending import attach_labels

        before_task_publish.connect(attach_labels, dispatch_uid=f"{self.name}.attach_labels")
