"""The errors of this package. :class:`ResultsError` is their base class."""

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
