"""Stored failures as exceptions that a reader can raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.utils.serialization import UnpickleableExceptionWrapper, get_pickled_exception

from ..exceptions import TaskFailed

__all__ = ["raisable", "restored"]


def raisable(value: Any, to_python: Callable[[Any], Any]) -> Exception:
    """Return the exception that the stored ``value`` of a failure stands for.

    ``to_python`` is Celery's conversion of a dict, which refuses whatever does not name an
    exception. That, and an exception that would end the process that raises it, such as
    ``SystemExit``, is returned as a :class:`TaskFailed`.
    """
    try:
        error = restored(value) if isinstance(value, BaseException) else to_python(value)
    except (Exception, SystemExit):  # noqa: BLE001 - a site's exception class may raise anything
        error = None
    if error is None:
        return TaskFailed(value)
    if isinstance(error, Exception):
        return error
    kind = type(error)
    return TaskFailed.like(kind.__module__, kind.__name__)(*error.args)


def restored(value: Any) -> Any:
    """Return the exception that Celery wrapped because pickle could not write it.

    Any other value is returned as it is.
    """
    if not isinstance(value, UnpickleableExceptionWrapper):
        return value
    # Celery's type stubs declare a name for the wrapped arguments, which are a tuple.
    return get_pickled_exception(value)
