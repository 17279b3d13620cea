"""The table of labels, in the same database as the results."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_celery_results.models import TaskResult

from .cascades import DB_CASCADE
from .text import MAX_NAME, MAX_VALUE

__all__ = ["Label"]


class Label(models.Model):
    """One label of one result."""

    id = models.BigAutoField(primary_key=True, verbose_name="ID")
    #: Refers to the task's id, which is known before the result's row has a primary key.
    task = models.ForeignKey(
        TaskResult,
        to_field="task_id",
        on_delete=DB_CASCADE,
        related_name="labels",
        # The unique constraint below begins with this column and serves as its index.
        db_index=False,
        verbose_name=_("Task Result"),
        help_text=_("The result that has this label"),
    )
    name = models.CharField(
        max_length=MAX_NAME, verbose_name=_("Name"), help_text=_("The name of the label")
    )
    value = models.CharField(
        max_length=MAX_VALUE, verbose_name=_("Value"), help_text=_("The value, as text")
    )

    objects: ClassVar[models.Manager[Label]] = models.Manager()

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "name"], name="dcr_labels_once"),
        ]
        indexes: ClassVar = [
            # A covering index: a search reads no row of this table.
            models.Index(fields=["name", "value", "task"], name="dcr_labels_name_value_idx"),
        ]

    def __str__(self) -> str:
        """Return ``name=value``."""
        return f"{self.name}={self.value}"
