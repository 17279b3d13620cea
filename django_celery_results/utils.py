"""A helper that needs neither models, nor Celery, nor translations.

Celery's Django loader may import this module while Django is still loading the apps, so it
must not import more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from .conf import results_settings
from .former import former_names

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


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
