"""The plugin's hooks: its settings, and storing the labels of each result."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import DatabaseError, connections, transaction
from django.utils.module_loading import import_string

from django_celery_results import hookimpl
from django_celery_results.logs import apart
from django_celery_results.options import Option, PluginOptions, names, whole_number

from .sending import HEADER
from .text import require_name, text_of

if TYPE_CHECKING:
    from django_celery_results.records import StoredTask, TaskRecord

__all__ = ["LabelsOptions", "options"]

logger = logging.getLogger(__name__)

APP = "django_celery_results_labels"


def dotted_path(value: object) -> Callable[[Any], Any]:
    """Read the dotted path of a callable."""
    try:
        found: Any = import_string(value) if isinstance(value, str) else None
    except ImportError as error:
        raise ValueError(f"the dotted path of a function ({error})") from error
    if not callable(found):
        raise ValueError("the dotted path of a function")  # noqa: TRY004 - a reader raises ValueError
    return found  # type: ignore[no-any-return]  # callable() does not narrow Any


def label_names(value: object) -> tuple[str, ...]:
    """Read a list of valid label names."""
    found = names(value)
    for name in found:
        try:
            require_name(name)
        except ValueError as error:
            raise ValueError(f"a list of label names, but {error}") from error
    return found


class LabelsOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["labels"]``."""

    plugin = "labels"
    check_prefix = APP

    #: Names of other task headers; each becomes a label of the same name.
    headers: Option[tuple[str, ...]] = Option(label_names, default=(), check="E002")
    #: Dotted path of a function that takes the TaskRecord and returns labels by name.
    function: Option[Callable[[Any], Any] | None] = Option(dotted_path, default=None, check="E003")
    #: The maximum number of labels on one result.
    max_labels: Option[int] = Option(whole_number(1, 100), default=20, check="E004")


options = LabelsOptions()


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings, and an app that is not installed."""
    yield from options.check()
    if not apps.is_installed(APP):
        yield Error(
            "The plugin 'labels' is active, but its app is not installed, so no label is stored.",
            hint=f"Add {APP!r} to INSTALLED_APPS and migrate, or add 'labels' to "
            "DJANGO_CELERY_RESULTS['DISABLED_PLUGINS'].",
            id=f"{APP}.E005",
        )


@hookimpl
def after_store(task: TaskRecord, stored: StoredTask, written: bool) -> None:
    """Store the labels of a task in the database of its row."""
    # Labels refer to a row, which results in a cache or another storage do not have.
    if written and stored.using is not None:
        found = dict(labels_of(task))
        if found:
            save(stored.using, task.task_id, found)


def save(alias: str, task_id: str, found: Mapping[str, str]) -> None:
    """Write the labels in one statement, replacing those of the same names.

    An error is logged; it harms neither the result nor a transaction that the caller has
    open.
    """
    from .models import Label

    rows = [Label(task_id=task_id, name=name, value=value) for name, value in found.items()]
    named = connections[alias].features.supports_update_conflicts_with_target
    handled = sys.exc_info()[1]
    try:
        with transaction.atomic(using=alias):
            Label.objects.using(alias).bulk_create(
                rows,
                update_conflicts=True,
                update_fields=["value"],
                unique_fields=["task", "name"] if named else None,
            )
    except DatabaseError as error:
        message = "The labels of task %s were not stored, but its result was"
        logger.exception(message, task_id, exc_info=apart(error, handled))


# -- The labels of a task ------------------------------------------------------------


def labels_of(task: TaskRecord) -> Iterator[tuple[str, str]]:
    """Yield the labels of a task; log invalid ones."""
    headers = task.headers or {}
    found = {
        **_mapping(task, _called(task), "the return value of the setting FUNCTION"),
        **{name: headers[name] for name in options.headers if name in headers},
        **_mapping(task, headers.get(HEADER), f"the header {HEADER!r}"),
    }
    accepted = _accepted(task, found)
    yield from islice(accepted, options.max_labels)
    for name, _ in accepted:
        logger.warning(
            "Task %s is not labelled %r: it already has %s labels, the most that MAX_LABELS "
            "allows; raise MAX_LABELS or set fewer labels",
            task.task_id,
            name,
            options.max_labels,
        )


def _called(task: TaskRecord) -> object:
    handled = sys.exc_info()[1]
    try:
        return None if options.function is None else options.function(task)
    except Exception as error:
        message = "The function of the setting FUNCTION failed for task %s and adds no labels"
        logger.exception(message, task.task_id, exc_info=apart(error, handled))
        return None


def _mapping(task: TaskRecord, found: object, what: str) -> Mapping[Any, Any]:
    if found is not None and not isinstance(found, Mapping):
        logger.warning("Task %s: %s is not a mapping of labels and was ignored", task.task_id, what)
    return found if isinstance(found, Mapping) else {}


def _accepted(task: TaskRecord, found: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        try:
            if value is not None:
                yield require_name(name), text_of(value)
        except ValueError as error:
            logger.warning("Task %s is not labelled %.50r: %s", task.task_id, name, error)
