"""The model that this app's migrations create."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """Refers to a task's result, as a site's own models may."""

    id = models.AutoField(primary_key=True)
    task = models.ForeignKey("django_celery_results.TaskResult", on_delete=models.CASCADE)

    class Meta:
        app_label = "dependent"

    def __str__(self) -> str:
        """Return the key."""
        return str(self.pk)
