"""The plugin's hooks: they mask each record before it is stored, and check the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from django_celery_results import hookimpl

from .rules import options

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_celery_results.records import TaskRecord

__all__: list[str] = []


@hookimpl(trylast=True)
def before_store(task: TaskRecord) -> None:
    """Mask the record, after all other plugins have changed it."""
    # Imported late: the settings must be checkable before Celery's apps are loaded.
    from .masking import TaskMasking

    TaskMasking(task).apply()


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()
