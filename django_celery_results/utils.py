"""Small helpers that need neither models, nor Celery, nor translations.

Celery's Django loader may import this module while the apps are still being
set up, which is why it stays that small.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from .conf import results_settings

if TYPE_CHECKING:
    from datetime import datetime


def now() -> datetime:
    """Return the present moment as the site's settings see it.

    With ``USE_TZ`` the result is aware and in the current time zone of the
    thread (``timezone.activate`` is honoured); without, it is naive and in the
    zone of the process.
    """
    moment = timezone.now()
    return timezone.localtime(moment) if results_settings.use_tz else moment


def as_timedelta(age: float | timedelta) -> timedelta:
    """Return ``age``, which is a timedelta or seconds, as a timedelta."""
    return age if isinstance(age, timedelta) else timedelta(seconds=age)


def moment_ago(age: float | timedelta) -> datetime:
    """Return the moment ``age`` (seconds or timedelta) ago."""
    return now() - as_timedelta(age)
