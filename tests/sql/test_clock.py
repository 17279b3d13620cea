"""The time by the database's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery import states
from django.db import connection
from django.utils import timezone

from django_celery_results.models import TaskResult
from django_celery_results.sql.clock import DatabaseNow, has_clock
from tests import settings as test_settings
from tests.rows import row, write

pytestmark = pytest.mark.django_db


def test_the_time_can_be_written_by_an_update() -> None:
    """The expression is in the time zone in which Django reads it."""
    write(states.STARTED)
    TaskResult.objects.update(date_started=DatabaseNow())
    assert abs(timezone.now() - row().date_started) < timedelta(minutes=5)


def test_only_servers_have_a_clock() -> None:
    """SQLite runs in this process."""
    assert has_clock(connection) is (test_settings.DATABASE != "sqlite")


@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own sessions")
def test_the_zone_of_the_session_does_not_matter() -> None:
    """Django does not set it, so it may be any zone."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+09:00'")
        write(states.STARTED)
        cursor.execute("SET SESSION time_zone = DEFAULT")
    assert abs(timezone.now() - row().date_done) < timedelta(minutes=5)


@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB has no time zones")
def test_dates_in_another_zone_come_from_this_process(monkeypatch: Any) -> None:
    """MariaDB may not know the zone by its name."""
    monkeypatch.setattr(connection, "timezone_name", "Asia/Tokyo")
    assert not has_clock(connection)
    write(states.STARTED)
    TaskResult.objects.update(date_started=DatabaseNow())
    assert row().date_started is not None
