"""The errors of this package. All share :class:`ResultsError`."""

from __future__ import annotations

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
]


class ResultsError(Exception):
    """Base class of every error that this package raises itself."""


class PluginError(ResultsError):
    """Plugins that failed to load, all of them in one message."""


class BackendMisconfigured(ResultsError, CeleryImproperlyConfigured, ImproperlyConfigured):
    """The result backend URL or a setting cannot be used; the message lists what can.

    It is both Celery's and Django's ``ImproperlyConfigured``, as both meet it.
    """


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


class ResultUnavailable(ResultUnreadable):
    """A stored result cannot be read now, and may be later: what keeps a part of it is away.

    Nothing is wrong with the result, so whoever would act on one that is lost has to wait.
    """
