"""The plugin's hooks: they count, and an error in counting never harms a result."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from celery.signals import worker_process_shutdown
from prometheus_client.multiprocess import mark_process_dead

from django_celery_results import hookimpl
from django_celery_results.logs import apart

from . import metrics
from .labels import state_label, task_label
from .options import multiprocess_directory, options

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_celery_results.records import Contents, StoredPart, StoredTask, TaskRecord

__all__ = ["size_of"]

logger = logging.getLogger(__name__)


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


# -- Results -------------------------------------------------------------------------


@hookimpl
def after_store(task: TaskRecord, stored: StoredTask, written: bool) -> None:
    """Count a result, if the storage has written it."""
    if written:
        name = task_label(task.name)
        metrics.stored.labels(name, state_label(task.status)).inc()
        metrics.stored_bytes.labels(name).inc(size_of(stored.contents))


@hookimpl(wrapper=True, tryfirst=True)
def store_task() -> Generator[None, bool | None, bool | None]:
    """Measure the time, including that of the wrappers inside this one."""
    with _timed("store_task"):
        return (yield)


@hookimpl(wrapper=True, tryfirst=True)
def store_part() -> Generator[None, StoredPart | None, StoredPart | None]:
    """Measure the time of a chord's part, which is stored and counted in one step."""
    with _timed("store_part"):
        return (yield)


@hookimpl(wrapper=True, tryfirst=True)
def load_tasks() -> Generator[None, Sequence[StoredTask] | None, Sequence[StoredTask] | None]:
    """Measure the time, and count the results found."""
    with _timed("load_tasks"):
        found = yield
    with _harmless():
        for stored in found or ():
            name = task_label(stored.name)
            metrics.read.labels(name, state_label(stored.status)).inc()
            metrics.read_bytes.labels(name).inc(size_of(stored.contents))
    return found


@hookimpl(wrapper=True, tryfirst=True)
def forget_task() -> Generator[None, bool | None, bool | None]:
    """Count the result, if there was one."""
    forgotten = yield
    with _harmless():
        metrics.deleted.labels("forgotten").inc(bool(forgotten))
    return forgotten


# A hook after_expire would need the rows, which would be read before they are deleted.
@hookimpl(wrapper=True, tryfirst=True)
def expire_results() -> Generator[None, int | None, int | None]:
    """Count the deleted results."""
    expired = yield
    with _harmless():
        metrics.deleted.labels("expired").inc(expired or 0)
    return expired


def size_of(contents: Contents) -> int:
    """Return the size of the contents in bytes; objects that a cache stores as such count as 0."""
    return sum(map(_bytes, contents.fields.values()))


def _bytes(content: object) -> int:
    if isinstance(content, str):
        return len(content) if content.isascii() else len(content.encode("utf-8", "replace"))
    return len(content) if isinstance(content, bytes) else 0


# -- Errors --------------------------------------------------------------------------


@hookimpl
def storage_retried(storage_name: str, hook: str) -> None:
    """Count a retry."""
    metrics.storage_retries.labels(storage_name, hook).inc()


@hookimpl
def observer_failed(plugin: str, hook: str) -> None:
    """Count a failure."""
    metrics.observer_failures.labels(plugin, hook).inc()


@contextmanager
def _timed(hook: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    except Exception:
        with _harmless():
            metrics.storage_errors.labels(hook).inc()
        raise
    finally:
        seconds = time.perf_counter() - started
        with _harmless():
            metrics.storage_seconds.labels(hook).observe(seconds)


@contextmanager
def _harmless() -> Iterator[None]:
    """Log an error in counting, which would otherwise look like the storage's error."""
    handled = sys.exc_info()[1]
    try:
        yield
    except Exception as error:
        message = "A metric could not be counted; the result is not affected"
        logger.exception(message, exc_info=apart(error, handled))


# -- Processes -----------------------------------------------------------------------


@worker_process_shutdown.connect(dispatch_uid=f"{__name__}.forget_process")
def forget_process(pid: int, **_details: object) -> None:
    """Remove the gauges of a worker process that ends; its counters stay."""
    if directory := multiprocess_directory():
        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]  # the client is not annotated
