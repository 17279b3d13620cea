"""Adds the table and columns that count each chord task once, and a date of expiry per result.

Every new column of an existing table is nullable, so workers of 2.6 can continue storing
results while a site is upgraded.
"""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

from django_celery_results.conf import results_settings


class Migration(migrations.Migration):
    """Creates ChordPart and adds columns to TaskResult and ChordCounter."""

    dependencies = [("django_celery_results", "0015_bigautofield")]

    operations = [
        migrations.AlterModelOptions(
            name="chordcounter",
            options={"verbose_name": "chord counter", "verbose_name_plural": "chord counters"},
        ),
        migrations.AddField(
            model_name="taskresult",
            name="date_expires",
            field=models.DateTimeField(
                default=None,
                editable=False,
                help_text="When this record may be deleted; empty: as the site's settings say",
                null=True,
                verbose_name="Expires DateTime",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="size",
            field=models.PositiveIntegerField(
                help_text="How many tasks the header has; empty: begun by release 2.6 or older",
                null=True,
                verbose_name="Header Size",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="date_created",
            field=models.DateTimeField(
                auto_now_add=True,
                db_default=Now(),
                help_text="When this record was first written",
                null=True,
                verbose_name="Created DateTime",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="date_claimed",
            field=models.DateTimeField(
                help_text="When a worker last undertook to send the chord's body",
                null=True,
                verbose_name="Claimed DateTime",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="claimed_by",
            field=models.CharField(
                help_text="A token of the call that last undertook to send the chord's body",
                max_length=64,
                null=True,
                verbose_name="Claimed By",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="body",
            field=models.TextField(
                help_text="The body's signature, serialized; empty: not known",
                null=True,
                verbose_name="Chord Body",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="content_type",
            field=models.CharField(
                help_text="The MIME type of the serialized body",
                max_length=128,
                null=True,
                verbose_name="Body Content Type",
            ),
        ),
        migrations.AddField(
            model_name="chordcounter",
            name="content_encoding",
            field=models.CharField(
                help_text="How the serialized body was made into text",
                max_length=64,
                null=True,
                verbose_name="Body Encoding",
            ),
        ),
        migrations.CreateModel(
            name="ChordPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "task_id",
                    models.CharField(
                        help_text="The id that Celery gave to this task",
                        max_length=results_settings.task_id_max_length,
                        verbose_name="Task ID",
                    ),
                ),
                (
                    "group_index",
                    models.BigIntegerField(
                        help_text="The place of the task in the header, from zero",
                        null=True,
                        verbose_name="Position",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        help_text="The state in which the task ended",
                        max_length=50,
                        verbose_name="Task State",
                    ),
                ),
                (
                    "content_type",
                    models.CharField(
                        blank=True,
                        help_text="The MIME type of the serialized result",
                        max_length=128,
                        verbose_name="Result Content Type",
                    ),
                ),
                (
                    "content_encoding",
                    models.CharField(
                        blank=True,
                        help_text="How the serialized result was made into text",
                        max_length=64,
                        verbose_name="Result Encoding",
                    ),
                ),
                (
                    "result",
                    models.TextField(
                        help_text="The serialized result of a task that keeps no record of its own",
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
                    "counter",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="The chord that the task belongs to",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="parts",
                        to="django_celery_results.chordcounter",
                        verbose_name="Chord Counter",
                    ),
                ),
            ],
            options={
                "verbose_name": "chord part",
                "verbose_name_plural": "chord parts",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("counter", "task_id"), name="django_cele_chordpart_once"
                    )
                ],
            },
        ),
    ]
