"""A tweak of storing: no secret is kept, and each stored task says who looked at it."""

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
        """Put stars in place of a secret."""
        secrets = results_settings.plugin_options("redact").get("secrets", ())
        if isinstance(task.result, str) and task.result in secrets:
            task.result = "***"

    @hookimpl(wrapper=True)
    def store_task(self, task: StoredTask) -> Generator[None, bool | None, bool | None]:
        """Sign the task on its way to whichever storage is selected."""
        task.worker = f"{task.worker or 'nobody'}, redacted"
        return (yield)


plugin = RedactPlugin()
