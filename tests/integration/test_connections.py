"""The connections of real workers: closed, reused, and shared through pools."""
# ruff: noqa: ARG001  (a fixture asks for another by naming it among its arguments)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chord, group
from django.db import connection

from django_celery_results.models import ChordCounter, TaskResult
from tests import settings
from tests.integration import notes, tasks
from tests.integration.combinations import BOUNCED, COUNTED, LASTING, POOLED, Combination
from tests.integration.servers import PgBouncer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.conftest import Lab

pytestmark = pytest.mark.workers

SERVER = pytest.mark.skipif(settings.DATABASE == "sqlite", reason="SQLite has no server")
POSTGRESQL = pytest.mark.skipif(settings.DATABASE != "postgresql", reason="PostgreSQL's own")

#: Queries that list all connections to the database except the query's own.
OTHERS = {
    "postgresql": (
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    ),
    "mysql": (
        "SELECT id FROM information_schema.processlist"
        " WHERE db = database() AND id <> connection_id()"
    ),
}


def others() -> set[int]:
    """Return the ids of the connections that do not belong to this process."""
    with connection.cursor() as cursor:
        cursor.execute(OTHERS[connection.vendor])
        return {number for (number,) in cursor.fetchall()}


@pytest.fixture
def opened(transactional_db: None) -> Callable[[], set[int]]:
    """Give a function that returns the connections opened since the test began.

    Other workers of the session may have some: the main process of a worker keeps the one with
    which it stored that a process of its pool was lost.
    """
    before = others()
    return lambda: others() - before


def work(lab: Lab) -> None:
    """Make a worker store results concurrently, and finish chords."""
    results: Any = group(tasks.nap.s(0.01, number) for number in range(40)).apply_async()
    header = [tasks.echo.s(number) for number in range(8)]
    chords: Any = [chord(header, tasks.total.s()).apply_async() for _ in range(5)]
    assert [*range(40)] == lab.get(results)
    assert [28] * 5 == [lab.get(one) for one in chords]


@SERVER
@pytest.mark.parametrize("combination", COUNTED, ids=lambda one: one.name)
def test_no_connection_is_left_open(
    opened: Callable[[], set[int]], start_lab: Callable[..., Lab], combination: Combination
) -> None:
    """Celery's Django fixup closes each connection after its task, in every pool."""
    work(start_lab(combination))
    notes.eventually(lambda: not opened())


@SERVER
def test_a_lasting_connection_is_used_again(
    opened: Callable[[], set[int]], start_lab: Callable[..., Lab]
) -> None:
    """Each process has one connection, and keeps it if CELERY_DB_REUSE_MAX is set."""
    lab = start_lab(LASTING)
    work(lab)
    first = opened()
    assert 1 <= len(first) <= LASTING.concurrency
    work(lab)
    both = opened()
    assert first <= both
    assert len(both) <= LASTING.concurrency


@POSTGRESQL
def test_threads_share_djangos_pool(
    opened: Callable[[], set[int]], start_lab: Callable[..., Lab]
) -> None:
    """The pool's size is the limit, and each connection is returned to the pool."""
    lab = start_lab(POOLED)
    work(lab)
    assert 1 <= len(opened()) <= POOLED.pool_size
    work(lab)
    assert 1 <= len(opened()) <= POOLED.pool_size


@POSTGRESQL
def test_broken_connections_of_djangos_pool_are_replaced(start_lab: Callable[..., Lab]) -> None:
    """The pool's connections are all killed, and the next results are still stored."""
    lab = start_lab(POOLED)
    for _ in range(3):
        work(lab)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({OTHERS['postgresql']}) x")
    work(lab)


@pytest.fixture
def pgbouncer() -> Iterator[PgBouncer]:
    """Give a PgBouncer in transaction pooling mode."""
    bouncer = PgBouncer()
    try:
        bouncer.start()
        yield bouncer
    finally:
        bouncer.remove()


@POSTGRESQL
@pytest.mark.parametrize("combination", BOUNCED, ids=lambda one: one.name)
def test_pgbouncer_may_stand_between(
    opened: Callable[[], set[int]],
    start_lab: Callable[..., Lab],
    pgbouncer: PgBouncer,
    combination: Combination,
) -> None:
    """In transaction pooling mode each transaction may get a different connection."""
    lab = start_lab(combination, pgbouncer.environment())
    work(lab)
    assert 1 <= len(opened()) <= pgbouncer.size
    # A chord is deleted after its body is sent.
    notes.eventually(lambda: not ChordCounter.objects.exists())
    TaskResult.objects.update(date_done="2020-01-01T00:00Z")
    lab.get(lab.app.tasks["celery.backend_cleanup"].delay())
    assert 1 >= TaskResult.objects.count()
