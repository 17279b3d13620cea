"""Widens every primary key to 64 bits.

PostgreSQL and MariaDB rewrite the table to do this, and nothing can be stored until they
finish. The upgrade guide says how long that takes.
"""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Alters ``id`` of TaskResult, GroupResult and ChordCounter."""

    dependencies = [("django_celery_results", "0001_squashed_0014_alter_taskresult_status")]

    operations = [
        migrations.AlterField(
            model_name=model_name,
            name="id",
            field=models.BigAutoField(primary_key=True, serialize=False, verbose_name="ID"),
        )
        for model_name in ("taskresult", "groupresult", "chordcounter")
    ]
