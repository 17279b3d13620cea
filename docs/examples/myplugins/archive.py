"""An archive: append results to a file before they are deleted, one JSON object on each line."""

import json
from pathlib import Path

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings


class Archive:
    """Writes to the file that the option ``FILE`` names."""

    django_celery_results_name = "archive"

    @hookimpl
    def before_expire(self, batch):
        """Append the batch to the file; if this raises an error, the batch is kept."""
        if batch.kind != "task":
            return
        with Path(results_settings.plugin_options("archive")["FILE"]).open("a") as file:
            for stored in batch.records:
                task = batch.read(stored)
                line = {"id": task.task_id, "status": task.status, "result": task.result}
                file.write(json.dumps(line, default=repr) + "\n")
