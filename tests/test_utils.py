"""The helpers of the package."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from django_celery_results.utils import now

if TYPE_CHECKING:
    from pytest_django import Settings


def test_now_is_in_the_current_time_zone() -> None:
    """With USE_TZ, the time is aware, and in the time zone that the thread activated."""
    with timezone.override("Asia/Kathmandu"):
        moment = now()
    assert timedelta(hours=5, minutes=45) == moment.utcoffset()
    assert abs(timezone.now() - moment) < timedelta(minutes=1)


def test_now_is_naive_without_time_zones(settings: Settings) -> None:
    """Without USE_TZ, the time is naive, in local time."""
    settings.USE_TZ = False
    moment = now()
    assert moment.tzinfo is None
    local = datetime.now()  # noqa: DTZ005  a naive time is expected
    assert abs(local - moment) < timedelta(minutes=1)
