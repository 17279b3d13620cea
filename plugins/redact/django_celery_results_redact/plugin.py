"""The plugin: it masks each record before it is stored, and checks its settings."""

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
    """Mask the record, when all other plugins have put in what they want."""
    # Imported here: the settings can be checked without Celery's apps.
    from .masking import TaskMasking

    TaskMasking(task).apply()


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()
