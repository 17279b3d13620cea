"""Expiry: which rows it deletes and which it keeps."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from celery import states

from django_celery_results.models import GroupResult, TaskResult

from .due import DAY, HOUR, ago, ids, make

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("age", "status", "kept"),
    [
        (2 * HOUR, states.SUCCESS, False),
        (2 * HOUR, states.FAILURE, False),
        (2 * HOUR, states.REVOKED, False),
        (2 * HOUR, states.PENDING, False),
        (2 * HOUR, states.STARTED, True),
        (2 * HOUR, states.RETRY, True),
        (2 * HOUR, "PROGRESS", True),
        (31 * DAY, states.STARTED, False),
        (0.5 * HOUR, states.SUCCESS, True),
    ],
)
def test_what_expires_after_an_hour(age: float, status: str, kept: bool) -> None:
    """Unfinished tasks are kept for a month."""
    make(1, age, status=status)
    selected = TaskResult.objects.get_all_expired(HOUR).exists()
    TaskResult.objects.delete_expired(HOUR)
    assert (kept, not kept) == (TaskResult.objects.exists(), selected)


def test_how_long_a_task_may_be_under_way_is_a_setting(settings: Settings) -> None:
    """It can be in seconds, or a timedelta."""
    settings.DJANGO_CELERY_RESULTS = {"EXPIRE_UNFINISHED_AFTER": timedelta(hours=1.5)}
    make(1, status=states.STARTED)
    assert 1 == TaskResult.objects.delete_expired(HOUR)


def test_unfinished_tasks_are_never_younger_than_results() -> None:
    """If results are kept for a year, unfinished tasks are too."""
    make(1, 100 * DAY, status=states.STARTED)
    assert 0 == TaskResult.objects.delete_expired(365 * DAY)


@pytest.mark.parametrize(
    ("expires_at", "kept"), [(ago(60), False), (ago(-DAY), True), (ago(-1e9), True)]
)
def test_a_stored_retention_counts_more_than_age(expires_at: datetime, kept: bool) -> None:
    """This holds for a shorter and for a longer retention."""
    make(1, 100 * DAY, date_expires=expires_at)
    TaskResult.objects.delete_expired(HOUR)
    assert kept == TaskResult.objects.exists()


def test_without_an_age_only_stored_retentions_expire() -> None:
    """CELERY_RESULT_EXPIRES may be None."""
    make(1, 9999 * DAY, prefix="old")
    make(1, 0, prefix="own", date_expires=ago(60))
    TaskResult.objects.delete_expired(None)
    assert ["old0"] == ids()


def test_an_age_of_zero_is_an_age() -> None:
    """As in 2.6, all finished tasks expire; without expiry, the backend passes None."""
    make(1, 60, prefix="old")
    assert 1 == TaskResult.objects.delete_expired(0)


def test_groups_expire_by_age_alone() -> None:
    """Groups lack a state."""
    for group_id in ("old", "new"):
        GroupResult.objects.create(group_id=group_id)
    GroupResult.objects.filter(group_id="old").update(date_done=ago(2 * HOUR))
    assert ["old"] == [one.group_id for one in GroupResult.objects.get_all_expired(HOUR)]
    assert 1 == GroupResult.objects.delete_expired(HOUR)
    assert 0 == GroupResult.objects.delete_expired(None)
    assert "new" == GroupResult.objects.get().group_id


@pytest.mark.django_db(databases=["default", "secondary"])
def test_expiry_works_where_writes_go() -> None:
    """A database that is only read from is left unchanged."""
    make(2, using="secondary")
    make(2)
    manager = TaskResult.objects.db_manager("secondary")
    assert 2 == manager.delete_expired(HOUR)
    assert (2, 0) == (len(ids()), len(ids(TaskResult.objects.using("secondary"))))


def test_the_batch_size_and_the_pause_are_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are EXPIRE_BATCH_SIZE (rows) and EXPIRE_BATCH_PAUSE (seconds)."""
    settings.DJANGO_CELERY_RESULTS = {"EXPIRE_BATCH_SIZE": 2, "EXPIRE_BATCH_PAUSE": 0.5}
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    make(5)
    assert (5, [0.5, 0.5]) == (TaskResult.objects.delete_expired(HOUR), pauses)
