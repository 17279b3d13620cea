"""The plugin: hooks that count, and let no result suffer from it."""

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
    """Count a result that is stored; what the storage did not take is none."""
    if written:
        name = task_label(task.name)
        metrics.stored.labels(name, state_label(task.status)).inc()
        metrics.stored_bytes.labels(name).inc(size_of(stored.contents))


@hookimpl(wrapper=True, tryfirst=True)
def store_task() -> Generator[None, bool | None, bool | None]:
    """Take the time, that of the wrappers within included."""
    with _timed("store_task"):
        return (yield)


@hookimpl(wrapper=True, tryfirst=True)
def store_part() -> Generator[None, StoredPart | None, StoredPart | None]:
    """Take the time of a chord's part, which is stored and counted in one step."""
    with _timed("store_part"):
        return (yield)


@hookimpl(wrapper=True, tryfirst=True)
def load_tasks() -> Generator[None, Sequence[StoredTask] | None, Sequence[StoredTask] | None]:
    """Take the time, and count what was found."""
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
    """Count a result that was there."""
    forgotten = yield
    with _harmless():
        metrics.deleted.labels("forgotten").inc(bool(forgotten))
    return forgotten


# Not by after_expire, for which the rows would be read before they are deleted.
@hookimpl(wrapper=True, tryfirst=True)
def expire_results() -> Generator[None, int | None, int | None]:
    """Count what is gone."""
    expired = yield
    with _harmless():
        metrics.deleted.labels("expired").inc(expired or 0)
    return expired


def size_of(contents: Contents) -> int:
    """Return the bytes of the contents; objects that a cache keeps as they are have none."""
    return sum(map(_bytes, contents.fields.values()))


def _bytes(content: object) -> int:
    if isinstance(content, str):
        return len(content) if content.isascii() else len(content.encode("utf-8", "replace"))
    return len(content) if isinstance(content, bytes) else 0


# -- Trouble -------------------------------------------------------------------------


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
    """Log what counting raises: a wrapper's error would be the storage's."""
    handled = sys.exc_info()[1]
    try:
        yield
    except Exception as error:
        message = "A metric could not be counted; the result is not affected"
        logger.exception(message, exc_info=apart(error, handled))


# -- Processes -----------------------------------------------------------------------


@worker_process_shutdown.connect(dispatch_uid=f"{__name__}.forget_process")
def forget_process(pid: int, **_details: object) -> None:
    """Take away the gauges of a worker's process that ends; what it counted stays."""
    if directory := multiprocess_directory():
        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]  # it has no annotations
