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

#: All connections to the database but the one that asks.
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
    """Return the numbers of the connections that are not this process's."""
    with connection.cursor() as cursor:
        cursor.execute(OTHERS[connection.vendor])
        return {number for (number,) in cursor.fetchall()}


@pytest.fixture
def opened(transactional_db: None) -> Callable[[], set[int]]:
    """Give what returns the connections that were opened since the test began.

    Other workers of the session may have some: the main process of a worker keeps the one
    through which it stored that a process of its pool was lost.
    """
    before = others()
    return lambda: others() - before


def work(lab: Lab) -> None:
    """Have a worker store results at once, and finish chords."""
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
    """Celery's fixup closes each after its task, in every pool."""
    work(start_lab(combination))
    notes.eventually(lambda: not opened())


@SERVER
def test_a_lasting_connection_is_used_again(
    opened: Callable[[], set[int]], start_lab: Callable[..., Lab]
) -> None:
    """Each process has one, and keeps it where Celery is told to."""
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
    """No more connections than the pool has, and each is given back."""
    lab = start_lab(POOLED)
    work(lab)
    assert 1 <= len(opened()) <= POOLED.pool_size
    work(lab)
    assert 1 <= len(opened()) <= POOLED.pool_size


@POSTGRESQL
def test_broken_connections_of_djangos_pool_are_replaced(start_lab: Callable[..., Lab]) -> None:
    """All of the pool are killed; the next results are stored nevertheless."""
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
    """In transaction pooling mode each transaction may meet another connection."""
    lab = start_lab(combination, pgbouncer.environment())
    work(lab)
    assert 1 <= len(opened()) <= pgbouncer.size
    # A chord goes after its body was sent.
    notes.eventually(lambda: not ChordCounter.objects.exists())
    TaskResult.objects.update(date_done="2020-01-01T00:00Z")
    lab.get(lab.app.tasks["celery.backend_cleanup"].delay())
    assert 1 >= TaskResult.objects.count()
