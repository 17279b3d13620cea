"""Deleting a PostgreSQL table's due rows page by page, if the planner would read it whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, OperationalError, connection, models, transaction
from django.db.models.signals import post_delete
from django.test.utils import isolate_apps

from django_celery_results.models import TaskResult
from django_celery_results.records import once
from django_celery_results.sql.deletion import BatchDeletion
from django_celery_results.sql.page_sweep import PATIENCE, Sweep, is_worth_sweeping
from tests import settings
from tests.due import HOUR, ids, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.DATABASE != "postgresql", reason="PostgreSQL's own"),
]


def due_rows() -> QuerySet[TaskResult]:
    """Return the rows older than an hour."""
    by_age = list(TaskResult.objects.due(HOUR))[1]
    due: QuerySet[TaskResult] = TaskResult.objects.filter(by_age.condition)
    return due


def clean(size: int, **how: Any) -> list[int]:
    """Delete rows older than an hour; return how many each batch deleted."""
    deletion: BatchDeletion[TaskResult] = BatchDeletion(repeat=once, size=size, **how)
    return list(TaskResult.objects.delete_due(deletion, *TaskResult.objects.due(HOUR)))


def execute(*statements: str) -> None:
    """Execute statements on the connection."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(autouse=True)
def planner() -> Iterator[Any]:
    """Set the planner's parameters until the end of the test; at first, it reads whole tables."""

    def plan(**parameters: Any) -> None:
        execute(*(f"SET {name} = {value}" for name, value in parameters.items()))

    plan(enable_seqscan="on", enable_indexscan="off", enable_bitmapscan="off")
    yield plan
    connection.close()


# -- Whether -----------------------------------------------------------------------------


def test_a_table_that_would_be_read_whole_is_swept() -> None:
    """A small table is an example."""
    assert is_worth_sweeping(due_rows())


def test_a_table_that_would_be_read_whole_by_several_is_swept(planner: Any) -> None:
    """PostgreSQL then uses a parallel plan."""
    make(1000)
    execute(f"ANALYZE {TaskResult._meta.db_table}")
    planner(parallel_setup_cost=0, parallel_tuple_cost=0, min_parallel_table_scan_size=0)
    assert "Gather" in due_rows().values("pk").explain()
    assert is_worth_sweeping(due_rows())


def test_a_table_with_few_due_rows_in_an_index_is_not_swept(planner: Any) -> None:
    """The index finds them."""
    planner(enable_seqscan="off", enable_indexscan="on")
    make(7)
    assert not is_worth_sweeping(due_rows())
    assert ([3, 3, 1], []) == (clean(3), ids())


def test_a_transaction_of_the_callers_is_not_risked() -> None:
    """It could not go on after the wait for a lock timed out."""
    make(3)
    with transaction.atomic():
        assert not is_worth_sweeping(due_rows())
        assert [2, 1] == clean(2)


def test_rows_with_signal_receivers_are_not_swept() -> None:
    """Between being read and being deleted the rows would not be locked."""
    heard: list[str] = []

    def hear(instance: TaskResult, **_: Any) -> None:
        heard.append(instance.task_id)

    make(3)
    post_delete.connect(hear, sender=TaskResult)
    try:
        assert not is_worth_sweeping(due_rows())
        clean(2)
    finally:
        post_delete.disconnect(hear, sender=TaskResult)
    assert ["t0", "t1", "t2"] == sorted(heard)


@isolate_apps("tests.dependent")
def test_a_table_in_partitions_is_not_swept() -> None:
    """Each partition has its own pages."""

    class Parted(models.Model):
        class Meta:
            app_label = "dependent"
            db_table = "parted"

    try:
        execute(
            "CREATE TABLE parted (id bigint) PARTITION BY RANGE (id)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        )
        # With one partition left, the plan names nothing but that partition.
        rows: models.QuerySet[Parted] = models.QuerySet(Parted)
        assert '"Seq Scan"' in rows.explain(format="json")
        assert not is_worth_sweeping(rows)
    finally:
        execute("DROP TABLE parted")


# -- What goes ---------------------------------------------------------------------------


def test_only_the_due_rows_are_deleted() -> None:
    make(500)
    make(5, 0, prefix="young")
    assert (500, [f"young{one}" for one in range(5)]) == (sum(clean(100)), ids())


def test_batches_approach_the_requested_size() -> None:
    """The pages may be full or nearly empty."""
    make(3000, result="1" * 1000)
    batches = clean(100)
    assert 3000 == sum(batches)
    assert all(50 <= one <= 150 for one in batches[3:-1]), batches


def test_pages_without_anything_due_are_passed_in_longer_steps() -> None:
    """The steps are limited, because full pages may follow."""
    make(3000, 0, result="1" * 1000)
    make(100, prefix="old")
    sweep = Sweep(due_rows(), 200)
    steps = []
    while not sweep.is_over:
        steps.append(sweep.pages)
        sweep.delete_next()
    assert [10, 20, 40, 80, 100] == steps[:5]
    assert max(steps) <= 100
    assert 3000 == TaskResult.objects.count()


def test_pauses_are_made_between_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none where nothing was deleted, and none after the last batch."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    make(200, result="1" * 1000)
    batches = clean(60, pause=1.5)
    assert [1.5] * (len(batches) - 1) == pauses


# -- Beside others -----------------------------------------------------------------------


def test_locked_rows_are_left(planner: Any) -> None:
    """The rows around them are deleted, and the wait is not much longer than ``PATIENCE``."""
    make(100)
    planner(statement_timeout=50 * PATIENCE)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            table = TaskResult._meta.db_table
            cursor.execute(f"SELECT id FROM {table} WHERE task_id IN ('t7', 't50') FOR UPDATE")
            assert (98, ["t50", "t7"]) == (sum(clean(1000)), ids())
    finally:
        other.close()
    assert ([2], []) == (clean(1000), ids())


def test_a_row_that_is_written_meanwhile_stays() -> None:
    """The transaction that holds it may have renewed its date."""
    make(10)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                f"UPDATE {TaskResult._meta.db_table} SET date_done = now() WHERE task_id = 't3'"
            )
            assert 9 == sum(clean(1000))
            cursor.execute("COMMIT")
    finally:
        other.close()
    assert (["t3"], []) == (ids(), clean(1000))


def test_the_lock_timeout_is_reset_afterwards() -> None:
    """It applies to the batch alone."""
    make(3)
    clean(2)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert ("0",) == cursor.fetchone()


def test_other_errors_are_raised(planner: Any) -> None:
    """The caller decides on a retry, which starts with the same pages."""
    make(20)
    sweep = Sweep(due_rows(), 1000)
    planner(default_transaction_read_only="on")
    with pytest.raises(DatabaseError, match="read-only"):
        sweep.delete_next()
    planner(default_transaction_read_only="off")
    assert (20, []) == (sweep.delete_next(), ids())


def test_other_errors_of_the_server_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes too long, for example, is not a lock."""
    make(3)

    def slow(*_: Any) -> None:
        execute("SET LOCAL statement_timeout = 10", "SELECT pg_sleep(1)")

    monkeypatch.setattr(type(due_rows()), "delete", slow)
    with pytest.raises(OperationalError, match="statement timeout"):
        Sweep(due_rows(), 1000).delete_next()
