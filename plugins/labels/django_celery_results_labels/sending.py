"""Labels on their way: set where a task is sent, and carried by the header ``labels``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from django_celery_results.conf import results_settings

from .text import require_name, text_of

__all__ = ["HEADER", "attach_labels", "labels"]

#: The header of a task's message that has its labels, by name.
HEADER = "labels"

_NONE: Mapping[str, str | None] = MappingProxyType({})
_current: ContextVar[Mapping[str, str | None]] = ContextVar("labels", default=_NONE)


@contextmanager
def labels(**values: object) -> Iterator[None]:
    """Label every task that is sent in this block, and all that these send in turn.

    Blocks may be nested; the inner one's labels count. ``None`` takes a label away that
    an outer block set, or the task that is running has. Raises ``ValueError`` for what
    cannot be a label.
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

    A receiver of Celery's signal ``before_task_publish``. What the sender wrote into
    the header counts most, then the block, then the running task's own labels.
    """
    if headers is None or "labels" in results_settings.disabled_plugins:
        return
    written = headers.get(HEADER)
    if written is not None and not isinstance(written, Mapping):
        return  # The worker says what is wrong with it, and of which task.
    found = {**_inherited(), **_current.get(), **(written or {})}
    if found:
        headers[HEADER] = {name: value for name, value in found.items() if value is not None}


def _inherited() -> Mapping[str, Any]:
    """Return the labels of the task that is running here; none where no task is."""
    from celery import current_app

    task: Any = current_app.current_worker_task
    headers = None if task is None else task.request.headers
    found = (headers or {}).get(HEADER)
    return found if isinstance(found, Mapping) else {}
