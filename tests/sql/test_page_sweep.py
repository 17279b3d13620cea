"""Deleting from the first page of a PostgreSQL table to its last, where the planner would."""

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
    """Return what is older than an hour."""
    by_age = list(TaskResult.objects.due(HOUR))[1]
    due: QuerySet[TaskResult] = TaskResult.objects.filter(by_age.condition)
    return due


def clean(size: int, **how: Any) -> list[int]:
    """Delete what is older than an hour; return how many went with each batch."""
    deletion: BatchDeletion[TaskResult] = BatchDeletion(repeat=once, size=size, **how)
    return list(TaskResult.objects.delete_due(deletion, *TaskResult.objects.due(HOUR)))


def execute(*statements: str) -> None:
    """Execute statements on the connection."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(autouse=True)
def planner() -> Iterator[Any]:
    """Sets the planner's parameters, until the end of the test; it is to read whole tables."""

    def plan(**parameters: Any) -> None:
        execute(*(f"SET {name} = {value}" for name, value in parameters.items()))

    plan(enable_seqscan="on", enable_indexscan="off", enable_bitmapscan="off")
    yield plan
    connection.close()


# -- Whether -----------------------------------------------------------------------------


def test_a_table_that_would_be_read_whole_is_swept() -> None:
    """As a small one is."""
    assert is_worth_sweeping(due_rows())


def test_a_table_that_would_be_read_whole_by_several_is_swept(planner: Any) -> None:
    """PostgreSQL's parallel plan."""
    make(1000)
    execute(f"ANALYZE {TaskResult._meta.db_table}")
    planner(parallel_setup_cost=0, parallel_tuple_cost=0, min_parallel_table_scan_size=0)
    assert "Gather" in due_rows().values("pk").explain()
    assert is_worth_sweeping(due_rows())


def test_a_table_of_which_an_index_knows_the_few_that_are_due_is_not_swept(planner: Any) -> None:
    """They are found through it."""
    planner(enable_seqscan="off", enable_indexscan="on")
    make(7)
    assert not is_worth_sweeping(due_rows())
    assert ([3, 3, 1], []) == (clean(3), ids())


def test_a_transaction_of_the_callers_is_not_risked() -> None:
    """It could not go on if a lock was waited for in vain."""
    make(3)
    with transaction.atomic():
        assert not is_worth_sweeping(due_rows())
        assert [2, 1] == clean(2)


def test_rows_that_somebody_wants_to_see_go_another_way() -> None:
    """Between the look and the deletion they would not be locked."""
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
    """Each of them has pages of its own."""

    class Parted(models.Model):
        class Meta:
            app_label = "dependent"
            db_table = "parted"

    try:
        execute(
            "CREATE TABLE parted (id bigint) PARTITION BY RANGE (id)",
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10)",
        )
        # With one of them left, nothing else stands in the plan.
        rows: models.QuerySet[Parted] = models.QuerySet(Parted)
        assert '"Seq Scan"' in rows.explain(format="json")
        assert not is_worth_sweeping(rows)
    finally:
        execute("DROP TABLE parted")


# -- What goes ---------------------------------------------------------------------------


def test_all_that_is_due_goes() -> None:
    """And nothing else."""
    make(500)
    make(5, 0, prefix="young")
    assert (500, [f"young{one}" for one in range(5)]) == (sum(clean(100)), ids())


def test_batches_come_to_be_of_the_size_that_is_asked_for() -> None:
    """However full the pages are."""
    make(3000, result="1" * 1000)
    batches = clean(100)
    assert 3000 == sum(batches)
    assert all(50 <= one <= 150 for one in batches[3:-1]), batches


def test_pages_without_anything_due_are_passed_in_longer_steps() -> None:
    """Up to a limit: behind them may be some that are full."""
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
    """Not where nothing was deleted, and not behind the last one."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    make(200, result="1" * 1000)
    batches = clean(60, pause=1.5)
    assert [1.5] * (len(batches) - 1) == pauses


# -- Beside others -----------------------------------------------------------------------


def test_rows_that_somebody_holds_are_left(planner: Any) -> None:
    """Those around them go, and nobody is waited for much longer than is said."""
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
    """Whoever holds it may have made it young."""
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


def test_how_long_is_waited_is_forgotten_afterwards() -> None:
    """It is for the batch alone."""
    make(3)
    clean(2)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert ("0",) == cursor.fetchone()


def test_what_else_goes_wrong_is_raised(planner: Any) -> None:
    """To be tried again, or not, by whoever asked; the same pages are the next then."""
    make(20)
    sweep = Sweep(due_rows(), 1000)
    planner(default_transaction_read_only="on")
    with pytest.raises(DatabaseError, match="read-only"):
        sweep.delete_next()
    planner(default_transaction_read_only="off")
    assert (20, []) == (sweep.delete_next(), ids())


def test_other_troubles_of_the_server_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a statement that takes too long, which is no lock."""
    make(3)

    def slow(*_: Any) -> None:
        execute("SET LOCAL statement_timeout = 10", "SELECT pg_sleep(1)")

    monkeypatch.setattr(type(due_rows()), "delete", slow)
    with pytest.raises(OperationalError, match="statement timeout"):
        Sweep(due_rows(), 1000).delete_next()
