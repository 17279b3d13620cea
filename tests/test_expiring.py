"""Expiry: what goes, what stays, in batches, beside other cleaners."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import connections

from django_celery_results.models import GroupResult, TaskResult

from . import settings as test_settings
from .processes import at_once, delete_expired

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from pytest_django import DjangoAssertNumQueries, Settings

HOUR = 3600.0
DAY = 24 * HOUR
BOTH = pytest.mark.django_db(databases=["default", "secondary"])
COMMITTED = pytest.mark.django_db(transaction=True)

pytestmark = pytest.mark.django_db


def ago(seconds: float) -> datetime:
    """Return the moment so long ago."""
    return datetime.now(timezone.utc) - timedelta(seconds=seconds)


def make(count: int, age: float = 2 * HOUR, prefix: str = "t", **columns: Any) -> None:
    """Make rows that were last written ``age`` seconds ago."""
    using = columns.pop("using", "default")
    columns = {"status": states.SUCCESS, **columns}
    rows = TaskResult.objects.using(using)
    rows.bulk_create([TaskResult(task_id=f"{prefix}{one}", **columns) for one in range(count)])
    rows.filter(task_id__startswith=prefix).update(date_done=ago(age))


def ids(rows: QuerySet[TaskResult] | None = None) -> list[str]:
    """Return the ids of all rows."""
    rows = TaskResult.objects.all() if rows is None else rows
    return sorted(rows.values_list("task_id", flat=True))


# -- What expires --------------------------------------------------------------------


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
    """What is under way does not, for a month."""
    make(1, age, status=status)
    selected = TaskResult.objects.get_all_expired(HOUR).exists()
    TaskResult.objects.delete_expired(HOUR)
    assert (kept, not kept) == (TaskResult.objects.exists(), selected)


def test_how_long_a_task_may_be_under_way_is_a_setting(settings: Settings) -> None:
    """In seconds, or a timedelta."""
    settings.DJANGO_CELERY_RESULTS = {"EXPIRE_UNFINISHED_AFTER": timedelta(hours=1.5)}
    make(1, status=states.STARTED)
    assert 1 == TaskResult.objects.delete_expired(HOUR)


def test_unfinished_tasks_are_never_younger_than_results() -> None:
    """A year for results is a year for them."""
    make(1, 100 * DAY, status=states.STARTED)
    assert 0 == TaskResult.objects.delete_expired(365 * DAY)


@pytest.mark.parametrize(
    ("expires_at", "kept"), [(ago(60), False), (ago(-60), True), (ago(-1e9), True)]
)
def test_a_stored_retention_counts_more_than_age(expires_at: datetime, kept: bool) -> None:
    """Whether it is shorter or longer."""
    make(1, 100 * DAY, date_expires=expires_at)
    TaskResult.objects.delete_expired(HOUR)
    assert kept == TaskResult.objects.exists()


def test_without_an_age_only_stored_retentions_expire() -> None:
    """As when CELERY_RESULT_EXPIRES is None."""
    make(1, 9999 * DAY, prefix="old")
    make(1, 0, prefix="own", date_expires=ago(60))
    TaskResult.objects.delete_expired(None)
    assert ["old0"] == ids()


def test_an_age_of_zero_is_an_age() -> None:
    """All that has ended expires, as in 2.6; the backend passes None where nothing may expire."""
    make(1, 60, prefix="old")
    assert 1 == TaskResult.objects.delete_expired(0)


def test_groups_expire_by_age_alone() -> None:
    """They have no state."""
    for group_id in ("old", "new"):
        GroupResult.objects.create(group_id=group_id)
    GroupResult.objects.filter(group_id="old").update(date_done=ago(2 * HOUR))
    assert ["old"] == [one.group_id for one in GroupResult.objects.get_all_expired(HOUR)]
    assert 1 == GroupResult.objects.delete_expired(HOUR)
    assert 0 == GroupResult.objects.delete_expired(None)
    assert "new" == GroupResult.objects.get().group_id


# -- Batches -------------------------------------------------------------------------


def test_rows_go_in_batches() -> None:
    """Of the size that is asked for."""
    make(7)
    batches = list(TaskResult.objects.expire_batches(HOUR, 3))
    assert ([3, 3, 1], []) == ([len(batch) for batch in batches], ids())


def test_the_batch_size_is_a_setting(settings: Settings) -> None:
    """EXPIRE_BATCH_SIZE."""
    settings.DJANGO_CELERY_RESULTS = {"EXPIRE_BATCH_SIZE": 2}
    make(3)
    assert [2, 1] == [len(batch) for batch in TaskResult.objects.expire_batches(HOUR)]


def test_rows_written_at_the_same_moment_all_go() -> None:
    """The key tells them apart."""
    make(10)
    assert 10 == TaskResult.objects.delete_expired(HOUR, 1)


def test_a_kept_batch_does_not_stop_the_next() -> None:
    """The work goes on behind it."""
    make(6)
    asked: list[list[str]] = []

    def before(batch: list[TaskResult]) -> bool:
        asked.append([one.task_id for one in batch])
        return len(asked) != 1

    deleted = list(TaskResult.objects.expire_batches(HOUR, 2, before))
    assert (3, 2) == (len(asked), len(deleted))
    assert sorted(asked[0]) == ids()


def test_batches_that_are_looked_at_have_all_fields(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """No query for each of them."""
    make(5, result="1")
    seen: list[Any] = []

    def before(batch: list[TaskResult]) -> bool:
        with django_assert_num_queries(0):
            seen.extend(one.result for one in batch)
        return True

    list(TaskResult.objects.expire_batches(HOUR, 5, before))
    assert ["1"] * 5 == seen


def test_batches_that_nobody_looks_at_are_not_read() -> None:
    """Only what orders them is."""
    make(2, result="1" * 1000)
    (batch,) = TaskResult.objects.expire_batches(HOUR)
    assert "result" in batch[0].get_deferred_fields()


def test_a_row_written_since_it_was_read_stays() -> None:
    """And is not said to have gone."""
    make(3)

    def before(batch: list[TaskResult]) -> bool:
        TaskResult.objects.filter(pk=batch[0].pk).update(date_done=ago(0))
        return True

    (gone,) = TaskResult.objects.expire_batches(HOUR, 3, before)
    assert (2, 1) == (len(gone), len(ids()))


def test_a_batch_that_somebody_else_deleted_is_not_counted() -> None:
    """It went, but not by us."""
    make(2)

    def before(_batch: list[TaskResult]) -> bool:
        TaskResult.objects.all().delete()
        return True

    assert [] == list(TaskResult.objects.expire_batches(HOUR, 2, before))


@BOTH
def test_expiry_works_where_writes_go() -> None:
    """Not where reads do."""
    make(2, using="secondary")
    make(2)
    manager = TaskResult.objects.db_manager("secondary")
    assert 2 == manager.delete_expired(HOUR)
    assert (2, 0) == (len(ids()), len(ids(TaskResult.objects.using("secondary"))))


@pytest.mark.races
@COMMITTED
def test_two_cleaners_share_the_work() -> None:
    """Nothing is counted twice where rows can be locked.

    What each found locked by the other may stay, for the next cleanup.
    """
    make(400)
    make(3, 0, prefix="young")
    deleted = at_once(2, delete_expired, HOUR, 10)
    if connections["default"].features.has_select_for_update_skip_locked:
        assert 403 == sum(deleted) + len(ids())
    TaskResult.objects.delete_expired(HOUR)
    assert ["young0", "young1", "young2"] == ids()


def test_this_database_is_the_one_meant() -> None:
    """MariaDB and PostgreSQL skip locked rows."""
    skips = connections["default"].features.has_select_for_update_skip_locked
    assert (test_settings.DATABASE != "sqlite") == skips
