"""The storage ``django-db``: conflicting transactions, and connections lost during a store.

Both are real: another connection holds the row, and a thread of the test stores it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import OperationalError, connection, transaction

from django_celery_results.models import GroupResult, TaskResult
from tests import settings as test_settings
from tests.backends.common import COMMITTED, make_row, row
from tests.backends.killing import SERVER, elsewhere, end, notes_of, number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.testing.fixtures import MakeBackend

POSTGRESQL = pytest.mark.skipif(test_settings.DATABASE != "postgresql", reason="PostgreSQL's own")
#: Seconds between two looks at the server's locks: MariaDB refreshes them every 0.1 seconds.
LOOK = 0.15


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend that retries after short waits."""
    return make_backend(result_backend_max_sleep_between_retries_ms=50)


def until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds, which takes a short time."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(LOOK)


def retries(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log entries of the failed tries, from any thread."""
    messages = [one.getMessage() for one in caplog.records]
    return [message for message in messages if "trying again" in message]


def execute(*statements: str) -> None:
    """Execute the statements."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted",
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx"
        " WHERE trx_mysql_thread_id = %s AND trx_state = 'LOCK WAIT'"
    ),
}


def waits(number: int) -> bool:
    """Return whether the connection waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor], [number])
        return bool(cursor.fetchone()[0])


class Store:
    """A store of task ``t1`` in its own thread."""

    def __init__(self, backend: Any, *before: str) -> None:
        self.backend = backend
        self.before = before
        #: The server's number of its first connection.
        self.number = 0
        self.thread = elsewhere(self.run)

    def run(self) -> None:
        """Store the task, with a new connection."""
        execute(*self.before)
        if connection.vendor != "sqlite":
            self.number = number_of(connection)
        self.backend.mark_as_done("t1", 1)

    def until_it_waits(self) -> None:
        """Return as soon as the server makes it wait for a lock."""
        until(lambda: bool(self.number) and waits(self.number))


@contextmanager
def held_row() -> Iterator[None]:
    """Lock a started task's row, and change a column of it."""
    make_row(status=states.STARTED)
    with transaction.atomic():
        TaskResult.objects.filter(task_id="t1").update(worker="rival")
        yield


IMPATIENCE = {
    "postgresql": "SET lock_timeout = 50",
    "mysql": "SET innodb_lock_wait_timeout = 1",
    "sqlite": "PRAGMA busy_timeout = 50",
}
TOO_LONG = {
    "postgresql": "canceling statement due to lock timeout",
    "mysql": "Lock wait timeout exceeded",
    "sqlite": "database is locked",
}


@COMMITTED
def test_a_lock_that_takes_too_long_is_waited_for_again(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The store succeeds once the lock is released."""
    with held_row():
        store = Store(backend, IMPATIENCE[connection.vendor])
        until(lambda: bool(retries(caplog)))
    store.thread.join()
    assert states.SUCCESS == row().status
    assert TOO_LONG[connection.vendor] in retries(caplog)[0]


@COMMITTED
def test_a_lock_that_takes_too_long_ends_the_callers_savepoint_alone(backend: Any) -> None:
    """Inside a transaction it is not retried, and Django rolls back as usual."""
    notes: list[str] = []

    def work() -> None:
        execute(IMPATIENCE[connection.vendor])
        with transaction.atomic():
            if connection.vendor != "sqlite":
                make_row("before")
            with pytest.raises(OperationalError) as caught, transaction.atomic():
                backend.mark_as_done("t1", 1)
            notes.extend(notes_of(caught.value))

    with held_row():
        elsewhere(work).join()
    assert "a transaction is open on the database 'default'" in notes[-1]
    assert states.STARTED == row().status
    assert connection.vendor == "sqlite" or row("before")


#: A trigger takes a second lock within the statement that stores ``t1``.
TRIGGER = (
    "CREATE TRIGGER second_lock BEFORE UPDATE ON django_celery_results_taskresult FOR EACH ROW"
)
UPDATE = "UPDATE django_celery_results_groupresult SET result = 'x'"
FUNCTION = "CREATE FUNCTION second_lock() RETURNS trigger LANGUAGE plpgsql AS $$"
TRIGGERS = {
    "postgresql": (
        f"{FUNCTION} BEGIN {UPDATE}; RETURN NEW; END $$",
        f"{TRIGGER} EXECUTE FUNCTION second_lock()",
    ),
    "mysql": (f"{TRIGGER} {UPDATE}",),
}
NO_TRIGGERS = {
    "postgresql": "DROP FUNCTION second_lock CASCADE",
    "mysql": "DROP TRIGGER second_lock",
}
#: The server's victim is the transaction that checks first, or that has changed less.
STRENGTH = {
    "postgresql": "SET deadlock_timeout = '20s'",
    "mysql": "UPDATE django_celery_results_groupresult SET content_type = 'x'",
}
DEADLOCK = {"postgresql": "deadlock detected", "mysql": "Deadlock found"}


@pytest.fixture
def second_lock(request: pytest.FixtureRequest) -> Iterator[None]:
    """A trigger that makes each store lock the rows of all groups too."""
    request.getfixturevalue("transactional_db")
    execute(*TRIGGERS[connection.vendor])
    yield
    execute(NO_TRIGGERS[connection.vendor])


@COMMITTED
@SERVER
@pytest.mark.usefixtures("second_lock")
def test_a_deadlock_is_tried_again(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The victim stores its result after the other transaction has ended."""
    make_row(status=states.STARTED)
    for one in range(50):
        GroupResult.objects.create(group_id=f"g{one}")
    with transaction.atomic():
        execute(STRENGTH[connection.vendor])
        GroupResult.objects.update(content_encoding="y")
        store = Store(backend)
        store.until_it_waits()
        TaskResult.objects.filter(task_id="t1").update(worker="rival")
    connection.close()
    store.thread.join()
    assert states.SUCCESS == row().status
    assert DEADLOCK[connection.vendor] in retries(caplog)[0]


@COMMITTED
@POSTGRESQL
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_serialization_failure_is_tried_again(
    backend: Any, caplog: pytest.LogCaptureFixture, level: str
) -> None:
    """The row changed after the statement's snapshot."""
    isolation = f"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {level}"
    with held_row():
        store = Store(backend, isolation)
        store.until_it_waits()
    store.thread.join()
    assert states.SUCCESS == row().status
    assert "could not serialize access" in retries(caplog)[0]


@COMMITTED
@SERVER
def test_a_connection_killed_in_the_middle_of_a_store_loses_nothing(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is killed while its statement waits for a lock."""
    with held_row():
        store = Store(backend)
        store.until_it_waits()
        elsewhere(end, store.number).join()
        until(lambda: bool(retries(caplog)))
    store.thread.join()
    assert (states.SUCCESS, "1") == (row().status, row().result)
