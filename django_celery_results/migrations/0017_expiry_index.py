"""Adds the index that expiry uses to find expired results.

A separate migration, because building an index on a large table takes a while. Results can
be stored in the meantime: see :mod:`django_celery_results.migrations._online_indexes`.
"""

from __future__ import annotations

from django.db import migrations, models

from ._online_indexes import AddIndexOnline


class Migration(migrations.Migration):
    """Indexes TaskResult by its own date of expiry, then by its last write."""

    atomic = False

    dependencies = [("django_celery_results", "0016_chord_parts_and_expiry")]

    operations = [
        AddIndexOnline(
            model_name="taskresult",
            index=models.Index(
                fields=["date_expires", "date_done"], name="django_cele_date_ex_0c7140_idx"
            ),
        ),
    ]
