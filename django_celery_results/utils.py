"""Helpers that need neither models, nor Celery, nor translations.

Celery's Django loader may import this module while Django is still loading the apps, so it
must not import more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from kombu.utils.encoding import bytes_to_str

from . import former_names
from .conf import results_settings

if TYPE_CHECKING:
    from datetime import datetime


#: Converts a moment to the current time zone if the settings require it; kept for 2.6's importers.
now_localtime = timezone.template_localtime  # type: ignore[attr-defined]  # absent from the stubs


def now() -> datetime:
    """Return the current time, as the site's time zone settings require.

    With ``USE_TZ`` the result is aware, in the thread's current time zone
    (``timezone.activate`` is respected). Without it, the result is naive, in the process's
    time zone.
    """
    moment = timezone.now()
    return timezone.localtime(moment) if results_settings.use_tz else moment


def as_timedelta(age: float | timedelta) -> timedelta:
    """Return ``age``, which is a timedelta or seconds, as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def moment_ago(age: float | timedelta) -> datetime:
    """Return the moment ``age`` (seconds or timedelta) ago."""
    return now() - as_timedelta(age)


def text_id(value: Any) -> Any:
    """Return the text of a task's or group's id: what ``str`` makes of it.

    Bytes are decoded, as Celery's key-value backends do. ``None``, which means that there is no
    id, stays ``None``.
    """
    if type(value) is str or value is None:
        return value
    return str(bytes_to_str(value))


def with_text_ids(result: Any) -> Any:
    """Return a result tuple (``as_tuple`` of a Celery result) in which every id is text."""
    (result_id, parent), children = result
    parent = with_text_ids(parent) if parent else None
    children = None if children is None else [with_text_ids(child) for child in children]
    return (text_id(result_id), parent), children


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
