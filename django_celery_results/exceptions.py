"""The errors of this package. All share :class:`ResultsError`."""

from __future__ import annotations

from kombu.exceptions import DecodeError

__all__ = [
    "HookError",
    "IdTooLong",
    "PluginError",
    "ResultUnreadable",
    "ResultsError",
    "StorageError",
]


class ResultsError(Exception):
    """Base class of every error that this package raises itself."""


class PluginError(ResultsError):
    """Plugins that failed to load, all of them in one message."""


class HookError(ResultsError):
    """A hook was answered in a way that its specification does not allow."""


class StorageError(ResultsError):
    """A storage could not keep or find what it was asked to."""


class IdTooLong(ResultsError, ValueError):
    """A task or group id is longer than the column that holds it."""


class ResultUnreadable(ResultsError, DecodeError):
    """A stored result cannot be decoded; the message names it and what is missing.

    It is a :class:`kombu.exceptions.DecodeError` too, which is what Celery's own
    backends raise for content that they cannot read.
    """
