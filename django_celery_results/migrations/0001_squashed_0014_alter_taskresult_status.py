"""The tables as the fourteen migrations of 2.6.0 leave them.

Databases that recorded all fourteen are taken to have run this one; new ones run
it. A database that recorded only some is stopped by
:func:`django_celery_results.migrations._history.check_migration_history`.
"""

from __future__ import annotations

from django.db import migrations, models

from django_celery_results.conf import results_settings
from ._history import APP_LABEL, REPLACED


class Migration(migrations.Migration):
    """Creates TaskResult, ChordCounter and GroupResult."""

    initial = True

    replaces = [(APP_LABEL, name) for name in REPLACED]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="TaskResult",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "task_id",
                    models.CharField(
                        help_text="The id that Celery gave to this task",
                        max_length=results_settings.task_id_max_length,
                        unique=True,
                        verbose_name="Task ID",
                    ),
                ),
                (
                    "periodic_task_name",
                    models.CharField(
                        help_text="The periodic task that sent this task, if one did",
                        max_length=255,
                        null=True,
                        verbose_name="Periodic Task Name",
                    ),
                ),
                (
                    "task_name",
                    models.CharField(
                        help_text="The name under which the task is registered",
                        max_length=results_settings.task_id_max_length,
                        null=True,
                        verbose_name="Task Name",
                    ),
                ),
                (
                    "task_args",
                    models.TextField(
                        help_text="The positional arguments of the call, serialized",
                        null=True,
                        verbose_name="Task Positional Arguments",
                    ),
                ),
                (
                    "task_kwargs",
                    models.TextField(
                        help_text="The named arguments of the call, serialized",
                        null=True,
                        verbose_name="Task Named Arguments",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        default="PENDING",
                        help_text="The last state that was reported for the task",
                        max_length=50,
                        verbose_name="Task State",
                    ),
                ),
                (
                    "worker",
                    models.CharField(
                        default=None,
                        help_text="The worker that ran the task",
                        max_length=100,
                        null=True,
                        verbose_name="Worker",
                    ),
                ),
                (
                    "content_type",
                    models.CharField(
                        help_text="The MIME type of the serialized result",
                        max_length=128,
                        verbose_name="Result Content Type",
                    ),
                ),
                (
                    "content_encoding",
                    models.CharField(
                        help_text="How the serialized result was made into text",
                        max_length=64,
                        verbose_name="Result Encoding",
                    ),
                ),
                (
                    "result",
                    models.TextField(
                        default=None,
                        editable=False,
                        help_text=(
                            "What the task returned or raised, serialized; "
                            "the content type and the encoding tell how to read it"
                        ),
                        null=True,
                        verbose_name="Result Data",
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(
                        auto_now_add=True,
                        help_text="When this record was first written",
                        verbose_name="Created DateTime",
                    ),
                ),
                (
                    "date_started",
                    models.DateTimeField(
                        default=None,
                        help_text="When a worker started the task, if that is tracked",
                        null=True,
                        verbose_name="Started DateTime",
                    ),
                ),
                (
                    "date_done",
                    models.DateTimeField(
                        auto_now=True,
                        help_text="When the task ended",
                        verbose_name="Completed DateTime",
                    ),
                ),
                (
                    "traceback",
                    models.TextField(
                        blank=True,
                        help_text="The traceback of the exception, if the task raised one",
                        null=True,
                        verbose_name="Traceback",
                    ),
                ),
                (
                    "meta",
                    models.TextField(
                        default=None,
                        editable=False,
                        help_text=(
                            "What else the task recorded, such as its child tasks, serialized"
                        ),
                        null=True,
                        verbose_name="Task Meta Information",
                    ),
                ),
            ],
            options={
                "verbose_name": "task result",
                "verbose_name_plural": "task results",
                "ordering": ["-date_done"],
                "indexes": [
                    models.Index(fields=["task_name"], name="django_cele_task_na_08aec9_idx"),
                    models.Index(fields=["status"], name="django_cele_status_9b6201_idx"),
                    models.Index(fields=["worker"], name="django_cele_worker_d54dd8_idx"),
                    models.Index(fields=["date_created"], name="django_cele_date_cr_f04a50_idx"),
                    models.Index(fields=["date_done"], name="django_cele_date_do_f59aad_idx"),
                    models.Index(
                        fields=["periodic_task_name"], name="django_cele_periodi_1993cf_idx"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ChordCounter",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "group_id",
                    models.CharField(
                        help_text="The id that Celery gave to the chord's header",
                        max_length=results_settings.task_id_max_length,
                        unique=True,
                        verbose_name="Group ID",
                    ),
                ),
                (
                    "sub_tasks",
                    models.TextField(
                        help_text=(
                            "The tasks of the header as a JSON list; group_result() reads it"
                        ),
                        verbose_name="Header Tasks",
                    ),
                ),
                (
                    "count",
                    models.PositiveIntegerField(
                        help_text="How many tasks of the header have still to end",
                        verbose_name="Remaining Tasks",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="GroupResult",
            fields=[
                (
                    "id",
                    models.AutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "group_id",
                    models.CharField(
                        help_text="The id that Celery gave to this group",
                        max_length=results_settings.task_id_max_length,
                        unique=True,
                        verbose_name="Group ID",
                    ),
                ),
                (
                    "date_created",
                    models.DateTimeField(
                        auto_now_add=True,
                        help_text="When this record was first written",
                        verbose_name="Created DateTime",
                    ),
                ),
                (
                    "date_done",
                    models.DateTimeField(
                        auto_now=True,
                        help_text="When the group was last saved",
                        verbose_name="Completed DateTime",
                    ),
                ),
                (
                    "content_type",
                    models.CharField(
                        help_text="The MIME type of the serialized result",
                        max_length=128,
                        verbose_name="Result Content Type",
                    ),
                ),
                (
                    "content_encoding",
                    models.CharField(
                        help_text="How the serialized result was made into text",
                        max_length=64,
                        verbose_name="Result Encoding",
                    ),
                ),
                (
                    "result",
                    models.TextField(
                        default=None,
                        editable=False,
                        help_text=(
                            "The tasks of the group, serialized; "
                            "the content type and the encoding tell how to read them"
                        ),
                        null=True,
                        verbose_name="Result Data",
                    ),
                ),
            ],
            options={
                "verbose_name": "group result",
                "verbose_name_plural": "group results",
                "ordering": ["-date_done"],
                "indexes": [
                    models.Index(fields=["date_created"], name="django_cele_date_cr_bd6c1d_idx"),
                    models.Index(fields=["date_done"], name="django_cele_date_do_caae0e_idx"),
                ],
            },
        ),
    ]
