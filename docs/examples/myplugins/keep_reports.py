"""A retention: results of some tasks are kept longer than ``result_expires`` says."""

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings
from django_celery_results.records import Retention

DAY = 24 * 3600  # seconds


class KeepReports:
    """Keeps the results of tasks whose names begin with ``PREFIX`` for ``DAYS`` days."""

    django_celery_results_name = "keep-reports"

    @hookimpl
    def result_retention(self, task):
        """Answer for the tasks concerned; leave the others to whoever comes next."""
        options = results_settings.plugin_options("keep-reports")
        if task.name and task.name.startswith(options["PREFIX"]):
            return Retention(seconds=options["DAYS"] * DAY)
        return None
