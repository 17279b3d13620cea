"""Setting labels where a task is sent; the header ``labels`` carries them to the worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from django_celery_results.conf import results_settings

from .text import require_name, text_of

__all__ = ["HEADER", "attach_labels", "labels"]

#: The header of a task's message that carries its labels, by name.
HEADER = "labels"

_NONE: Mapping[str, str | None] = MappingProxyType({})
_current: ContextVar[Mapping[str, str | None]] = ContextVar("labels", default=_NONE)


@contextmanager
def labels(**values: object) -> Iterator[None]:
    """Label every task that is sent in this block, and all tasks that they send in turn.

    Blocks may be nested; an inner block's labels take precedence. ``None`` removes a label
    that an outer block or the running task has set. Raises ``ValueError`` for an invalid
    label.
    """
    own = {
        require_name(name): None if value is None else text_of(value)
        for name, value in values.items()
    }
    token = _current.set({**_current.get(), **own})
    try:
        yield
    finally:
        _current.reset(token)


def attach_labels(headers: MutableMapping[str, Any] | None = None, **_: object) -> None:
    """Put the labels into the headers of a task that is about to be sent.

    A receiver of Celery's signal ``before_task_publish``. Labels in the header itself take
    precedence over the block's, and those over the running task's own.
    """
    if headers is None or "labels" in results_settings.disabled_plugins:
        return
    written = headers.get(HEADER)
    if written is not None and not isinstance(written, Mapping):
        return  # The worker logs this, with the task's id.
    found = {**_inherited(), **_current.get(), **(written or {})}
    if found:
        headers[HEADER] = {name: value for name, value in found.items() if value is not None}


def _inherited() -> Mapping[str, Any]:
    """Return the labels of the task that runs here, or none if no task does."""
    from celery import current_app

    task: Any = current_app.current_worker_task
    headers = None if task is None else task.request.headers
    found = (headers or {}).get(HEADER)
    return found if isinstance(found, Mapping) else {}
