"""Depends on every migration of 2.6 by its name."""

from __future__ import annotations

from django.db import migrations

from django_celery_results.migrations._history import REPLACED


class Migration(migrations.Migration):
    """Changes nothing."""

    dependencies = [
        ("dependent", "0001_initial"),
        *[("django_celery_results", name) for name in REPLACED],
    ]
