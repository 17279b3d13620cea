"""A retention rule: keep the results of some tasks longer than ``result_expires``."""

from django_celery_results import hookimpl
from django_celery_results.options import Option, PluginOptions, text, whole_number
from django_celery_results.records import Retention

DAY = 24 * 3600  # seconds


class Options(PluginOptions):
    """The settings under ``keep-reports``."""

    plugin = check_prefix = "keep-reports"

    prefix: Option[str] = Option(text, check="E002")
    days: Option[int] = Option(whole_number(1), default=365, check="E003")


class KeepReports:
    """Keeps the results of tasks whose names begin with ``PREFIX`` for ``DAYS`` days."""

    django_celery_results_name = "keep-reports"
    options = Options()

    @hookimpl
    def result_retention(self, task):
        """Answer for tasks with the prefix; leave other tasks to the next plugin."""
        if task.name and task.name.startswith(self.options.prefix):
            return Retention(seconds=self.options.days * DAY)
        return None

    @hookimpl
    def check_settings(self):
        """Return the wrong settings, which ``manage.py check`` reports."""
        return self.options.check()
