"""Creates the table of labels."""

from __future__ import annotations

from django.db import migrations, models

from django_celery_results_labels.cascades import DB_CASCADE, CreateModelWithCascade


class Migration(migrations.Migration):
    """Creates Label, whose rows the database deletes together with those of TaskResult."""

    initial = True

    dependencies = [("django_celery_results", "0015_bigautofield")]

    operations = [
        CreateModelWithCascade(
            name="Label",
            fields=[
                (
                    "id",
                    models.BigAutoField(primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "task",
                    models.ForeignKey(
                        db_index=False,
                        help_text="The result that has this label",
                        on_delete=DB_CASCADE,
                        related_name="labels",
                        to="django_celery_results.taskresult",
                        to_field="task_id",
                        verbose_name="Task Result",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="The name of the label", max_length=50, verbose_name="Name"
                    ),
                ),
                (
                    "value",
                    models.CharField(
                        help_text="The value, as text", max_length=200, verbose_name="Value"
                    ),
                ),
            ],
            options={
                "verbose_name": "label",
                "verbose_name_plural": "labels",
                "indexes": [
                    models.Index(
                        fields=["name", "value", "task"], name="dcr_labels_name_value_idx"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("task", "name"), name="dcr_labels_once")
                ],
            },
        ),
    ]
