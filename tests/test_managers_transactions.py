"""How rows are written in transactions and in races, and on which connections."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import DatabaseError, connection, transaction

from django_celery_results.managers import TaskResultManager, transaction_retry
from django_celery_results.models import TaskResult

from . import settings as test_settings
from .processes import at_once, store_results
from .rows import COMMITTED, elsewhere, row, write
from .storm import store_or_disturb

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db


# -- Transactions --------------------------------------------------------------------


@COMMITTED
@pytest.mark.parametrize("present", [False, True])
def test_a_write_is_rolled_back_with_the_callers_transaction(present: bool) -> None:
    """The write is part of that transaction."""
    if present:
        write(states.STARTED)
    with transaction.atomic():
        write(states.SUCCESS)
        transaction.set_rollback(True)
    assert not TaskResult.objects.filter(status=states.SUCCESS).exists()


@pytest.mark.parametrize("status", [states.PENDING, states.FAILURE])
def test_a_write_that_comes_too_late_leaves_the_callers_transaction_usable(status: str) -> None:
    """After a failed INSERT, PostgreSQL would refuse every other statement."""
    write(states.SUCCESS)
    with transaction.atomic():
        write(status)
        write(states.SUCCESS, "t2")
    assert 2 == TaskResult.objects.count()


@pytest.fixture(params=["listeners", "steps"])
def race(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """Before the INSERT, another connection inserts the row, with the state that is set here.

    Either a signal has a listener, or no single statement can write the row.
    """
    insert = TaskResultManager.insert
    rival: list[str] = []

    def late_insert(self: TaskResultManager[TaskResult], using: str, **fields: Any) -> Any:
        if rival:
            status = rival.pop()
            elsewhere(lambda: write(status, result="9"))
        return insert(self, using, **fields)

    monkeypatch.setattr(TaskResultManager, "insert", late_insert)
    if request.param == "listeners":
        monkeypatch.setattr(TaskResultManager, "has_listeners", lambda _: True)
    else:
        monkeypatch.setattr(TaskResultManager, "find_upsert", lambda *_: None)
    return rival


@COMMITTED
@pytest.mark.parametrize(
    ("rival", "ours", "expected"),
    [
        (states.STARTED, states.SUCCESS, (True, states.SUCCESS)),
        (states.SUCCESS, states.FAILURE, (False, states.SUCCESS)),
        (states.STARTED, states.PENDING, (False, states.STARTED)),
    ],
)
def test_a_race_for_a_new_id(
    race: list[str], rival: str, ours: str, expected: tuple[bool, str]
) -> None:
    """The usual rules apply to the second writer."""
    race.append(rival)
    assert expected == (write(ours, only_if_absent=ours == states.PENDING), row().status)


@COMMITTED
@pytest.mark.skipif(
    test_settings.DATABASE == "sqlite", reason="the caller's transaction locks the whole file"
)
@pytest.mark.parametrize(
    ("rival", "ours", "expected"),
    [
        (states.STARTED, states.SUCCESS, states.SUCCESS),
        (states.SUCCESS, states.FAILURE, states.SUCCESS),
        (states.STARTED, states.PENDING, states.STARTED),
    ],
)
def test_a_race_inside_the_callers_transaction_does_not_break_it(
    race: list[str], rival: str, ours: str, expected: str
) -> None:
    """The IntegrityError is rolled back with a savepoint."""
    with transaction.atomic():
        race.append(rival)
        write(ours, only_if_absent=ours == states.PENDING)
        write(states.SUCCESS, "t2")
    assert {"t1": expected, "t2": states.SUCCESS} == dict(
        TaskResult.objects.values_list("task_id", "status")
    )


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("rival", [states.STARTED, states.SUCCESS])
def test_a_race_hidden_by_the_callers_snapshot(race: list[str], rival: str) -> None:
    """Under REPEATABLE READ, the transaction cannot see the conflicting row."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            assert not TaskResult.objects.exists()
            race.append(rival)
            write(states.PENDING, result=None)
        assert rival == row().status
    finally:
        connection.close()


def assert_one_success_each(won: list[dict[str, Any]], rounds: int) -> None:
    """Each id was won by one process, and the row has the result of that process."""
    results = {task_id: value for one in won for task_id, value in one.items()}
    assert sum(map(len, won)) == len(results) == rounds
    rows = TaskResult.objects.values_list("task_id", "status", "result")
    assert sorted(rows) == sorted(
        (task_id, states.SUCCESS, str(value)) for task_id, value in results.items()
    )


@pytest.mark.races
@pytest.mark.timeout(300)
@COMMITTED
def test_many_writers_of_one_id_at_once() -> None:
    """Sixteen processes write every state in any order: one SUCCESS is stored, and it stays."""
    assert_one_success_each(at_once(16, store_results, "django-db", 25), 25)


@pytest.mark.races
@pytest.mark.timeout(300)
@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
def test_a_storm_of_deadlocks_loses_nothing() -> None:
    """It is at REPEATABLE READ, while other processes lock the same rows in any order."""
    assert_one_success_each(at_once(8, store_or_disturb, "django-db", 25), 25)


# -- Connections ---------------------------------------------------------------------


class Replica:
    """A router that reads from one database and writes to another."""

    def db_for_read(self, *_: Any, **hints: Any) -> str:
        """Read from the secondary database."""
        return "secondary"

    def db_for_write(self, *_: Any, **hints: Any) -> str:
        """Write to the default database."""
        return "default"


def test_connections_are_those_that_the_routers_choose(settings: Any) -> None:
    """The manager has one connection to write to, and one to read from."""
    settings.DATABASE_ROUTERS = [Replica()]
    manager = TaskResult.objects
    assert ("default", "secondary") == (
        manager.connection_for_write().alias,
        manager.connection_for_read().alias,
    )


def test_current_engine_is_the_one_read_from() -> None:
    """It is the dotted path in the settings."""
    expected = test_settings.DATABASES["default"]["ENGINE"]
    assert expected == TaskResult.objects.current_engine()


# -- transaction_retry ---------------------------------------------------------------


def failing(times: int) -> Callable[..., int]:
    """Return a function that raises so many times before it counts its calls."""
    calls: list[None] = []

    def function() -> int:
        calls.append(None)
        if len(calls) <= times:
            raise DatabaseError(len(calls))
        return len(calls)

    return function


def test_transaction_retry_tries_again() -> None:
    """By default, it tries once more."""
    assert 2 == transaction_retry()(failing(1))()


def test_transaction_retry_gives_up() -> None:
    """It raises the last error."""
    with pytest.raises(DatabaseError, match="3"):
        transaction_retry(max_retries=2)(failing(9))()


def test_a_call_may_say_how_often() -> None:
    """Callers of 2.6 could pass this number."""
    assert 5 == transaction_retry()(failing(4))(exception_retry_count=4)


def test_age_may_be_a_timedelta() -> None:
    """It can also be in seconds."""
    write(states.SUCCESS)
    TaskResult.objects.update(date_done=datetime.now(timezone.utc) - timedelta(hours=2))
    assert 1 == TaskResult.objects.get_all_expired(timedelta(hours=1)).count()
    assert 1 == TaskResult.objects.get_all_expired(3600).count()
    assert 0 == TaskResult.objects.get_all_expired(3 * 3600).count()
