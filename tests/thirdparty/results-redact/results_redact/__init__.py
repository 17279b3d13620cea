"""A plugin that changes what is stored: it hides secrets, and marks each task's worker."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings

if TYPE_CHECKING:
    from django_celery_results.records import StoredTask, TaskRecord


class RedactPlugin:
    """Replaces the results that ``DJANGO_CELERY_RESULTS["redact"]["secrets"]`` lists."""

    django_celery_results_name = "redact"

    @hookimpl
    def before_store(self, task: TaskRecord) -> None:
        """Replace a secret with stars."""
        secrets = results_settings.plugin_options("redact").get("secrets", ())
        if isinstance(task.result, str) and task.result in secrets:
            task.result = "***"

    @hookimpl(wrapper=True)
    def store_task(self, task: StoredTask) -> Generator[None, bool | None, bool | None]:
        """Add a mark to the task's worker name, whichever storage is selected."""
        task.worker = f"{task.worker or 'nobody'}, redacted"
        return (yield)


plugin = RedactPlugin()
