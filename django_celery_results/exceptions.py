"""The errors of this package. :class:`ResultsError` is their base class."""

from __future__ import annotations

from typing import Any

from celery.exceptions import ImproperlyConfigured as CeleryImproperlyConfigured
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import DecodeError

__all__ = [
    "BackendMisconfigured",
    "HookError",
    "IdTooLong",
    "PluginError",
    "ResultUnavailable",
    "ResultUnreadable",
    "ResultsError",
    "StorageError",
    "TaskFailed",
]


class ResultsError(Exception):
    """Base class of all errors that this package itself raises."""


class PluginError(ResultsError):
    """One or more plugins failed to load; the message lists all of them."""


class BackendMisconfigured(ResultsError, CeleryImproperlyConfigured, ImproperlyConfigured):
    """The result backend URL or a setting is invalid; the message lists the valid choices.

    It inherits from both Celery's and Django's ``ImproperlyConfigured``, because code of
    either may catch it.
    """


class HookError(ResultsError):
    """A plugin answered a hook in a way that the hook's specification does not allow."""


class StorageError(ResultsError):
    """A storage could not store or find what it was asked for."""


class IdTooLong(ResultsError, ValueError):
    """A task or group id is too long for its column."""


class ResultUnreadable(ResultsError, DecodeError):
    """A stored result cannot be decoded; the message names it and what is missing.

    It is also a :class:`kombu.exceptions.DecodeError`, which Celery's own backends raise
    for content that they cannot read.
    """


class ResultUnavailable(ResultUnreadable):
    """A stored result cannot be read now but may be later: a part of it is out of reach.

    The result itself is intact, so code that gives up on a lost result must wait instead.
    """


class TaskFailed(ResultsError):
    """A task failed, and what is stored for its failure cannot be raised as it is.

    Usually the stored value is no exception, such as the dict of
    ``update_state("FAILURE", meta={...})``: ``args`` then holds that value, and nothing else.

    A subclass made by :meth:`like` stands for an exception that cannot be rebuilt in this process,
    or that would end the process, such as ``SystemExit``. It has the name, the module and the
    ``args`` of that exception.

    .. versionadded:: 3.0
    """

    @classmethod
    def like(cls, module: str, name: str) -> type[TaskFailed]:
        """Return a subclass that has the module and the name of another exception class."""
        return type(name.rpartition(".")[2], (_StandIn,), {"__module__": module})


class _StandIn(TaskFailed):
    """Base class of the classes that :meth:`TaskFailed.like` makes, which pickle cannot import."""

    def __reduce__(self) -> tuple[Any, ...]:
        kind = type(self)
        return _stand_in, (kind.__module__, kind.__name__, self.args), self.__dict__

    def __setstate__(self, state: Any) -> None:
        # The state may be another class's, in any form.
        if isinstance(state, dict):
            self.__dict__.update(state)


def _stand_in(module: str, name: str, args: tuple[Any, ...]) -> TaskFailed:
    return TaskFailed.like(module, name)(*args)
