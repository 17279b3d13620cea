"""Depends on a migration in the middle of 2.6's, and refers to a task's result."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Creates a table with a foreign key to TaskResult."""

    initial = True

    dependencies = [("django_celery_results", "0011_taskresult_periodic_task_name")]

    operations = [
        migrations.CreateModel(
            name="Note",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "task",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        to="django_celery_results.taskresult",
                    ),
                ),
            ],
        )
    ]
