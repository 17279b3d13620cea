"""Deleting in batches: what each costs, who sees it, and what is left out."""

from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models.signals import post_delete

from django_celery_results.models import TaskResult
from django_celery_results.records import once
from django_celery_results.sql.deletion import BatchDeletion
from tests import settings
from tests.due import DAY, HOUR, ago, ids, make
from tests.processes import at_once, clean_or_write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db

INDEX = "django_cele_date_ex_0c7140_idx"
#: What PostgreSQL's planner must not use, so that it goes over the table, or through the index.
FORBIDDEN: list[tuple[str, ...]] = (
    [("enable_indexscan", "enable_bitmapscan"), ("enable_seqscan",)]
    if settings.DATABASE == "postgresql"
    else [()]
)
HOLD = f"SELECT id FROM {TaskResult._meta.db_table} WHERE task_id = %s FOR UPDATE"


class Watcher:
    """Sees the batches, agrees to each, and is called with it before and after."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused
        self.seen: list[list[str]] = []
        self.gone: list[list[str]] = []

    def before(self, batch: list[TaskResult]) -> bool:
        """Note the batch; refuse it when its number is one of those."""
        self.seen.append([one.task_id for one in batch])
        return len(self.seen) not in self.refused

    def after(self, batch: list[TaskResult]) -> None:
        """Note the batch."""
        self.gone.append([one.task_id for one in batch])


def clean(size: int, before: Any = None, after: Any = None) -> list[int]:
    """Delete what is older than an hour; return how many went with each batch."""
    deletion: BatchDeletion[TaskResult] = BatchDeletion(
        repeat=once, size=size, before=before, after=after
    )
    return list(TaskResult.objects.delete_due(deletion, *TaskResult.objects.due(HOUR)))


@pytest.fixture(params=["unseen", "seen"])
def before(request: pytest.FixtureRequest) -> Any:
    """Nobody who looks at the batches, or somebody."""
    return None if request.param == "unseen" else Watcher().before


def test_rows_go_in_batches(before: Any) -> None:
    """Of the size that is asked for."""
    make(7)
    assert ([3, 3, 1], []) == (clean(3, before), ids())


def test_rows_written_at_the_same_moment_all_go(before: Any) -> None:
    """The key tells them apart."""
    make(10)
    assert [1] * 10 == clean(1, before)


def test_rows_of_their_own_date_all_go(before: Any) -> None:
    """Whenever they were written."""
    make(3, 0, prefix="young", date_expires=ago(60))
    make(3, 9, prefix="old", date_expires=ago(60))
    make(2, 0, prefix="stays", date_expires=ago(-DAY))
    assert ([2, 2, 2], ["stays0", "stays1"]) == (clean(2, before), ids())


def test_a_batch_is_no_larger_than_the_database_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are parameters of a query."""
    # An attribute of the class or, once it was asked for, of the instance.
    monkeypatch.delitem(vars(connection.features), "max_query_params", raising=False)
    monkeypatch.setattr(type(connection.features), "max_query_params", 2)
    make(3)
    assert [2, 1] == clean(1000, Watcher().before)


def test_rows_are_waited_between_batches(monkeypatch: pytest.MonkeyPatch, before: Any) -> None:
    """So long as is asked for, and not after the last."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    make(3)
    deletion: BatchDeletion[TaskResult] = BatchDeletion(
        repeat=once, size=2, pause=1.5, before=before
    )
    assert [2, 1] == list(TaskResult.objects.delete_due(deletion, *TaskResult.objects.due(HOUR)))
    assert [1.5] == pauses


# -- Who sees a batch ----------------------------------------------------------------


def test_batches_are_seen_before_and_after() -> None:
    """Oldest first."""
    make(1, 3 * HOUR, prefix="c")
    make(1, 4 * HOUR, prefix="b")
    make(1, 5 * HOUR, prefix="a")
    watcher = Watcher()
    clean(2, watcher.before, watcher.after)
    assert [["a0", "b0"], ["c0"]] == watcher.seen == watcher.gone


def test_a_kept_batch_does_not_stop_the_next() -> None:
    """The work goes on behind it."""
    make(6)
    watcher = Watcher(1)
    assert [2, 2] == clean(2, watcher.before, watcher.after)
    assert sorted(watcher.seen[0]) == ids()
    assert watcher.seen[1:] == watcher.gone


def test_rows_that_are_looked_at_have_all_fields(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """No query for each of them."""
    make(5, result="1")
    seen: list[Any] = []

    def before(batch: list[TaskResult]) -> bool:
        with django_assert_num_queries(0):
            seen.extend(one.result for one in batch)
        return True

    clean(5, before)
    assert ["1"] * 5 == seen


def test_a_row_written_while_it_is_looked_at_stays() -> None:
    """And is not said to have gone."""
    make(3)
    watcher = Watcher()

    def before(batch: list[TaskResult]) -> bool:
        TaskResult.objects.filter(pk=batch[0].pk).update(date_done=ago(0))
        return True

    assert [2] == clean(3, before, watcher.after)
    assert (1, 2) == (len(ids()), len(watcher.gone[0]))


def test_a_batch_that_is_deleted_while_it_is_looked_at_is_not_counted() -> None:
    """It went, but not by us."""
    make(2)
    watcher = Watcher()

    def before(_batch: list[TaskResult]) -> bool:
        TaskResult.objects.all().delete()
        return True

    assert ([], []) == (clean(2, before, watcher.after), watcher.gone)


@pytest.fixture
def deleted() -> Iterator[list[str]]:
    """The ids of the rows whose deletion is signalled."""
    heard: list[str] = []

    def hear(instance: TaskResult, **_details: Any) -> None:
        heard.append(instance.task_id)

    post_delete.connect(hear, sender=TaskResult)
    yield heard
    post_delete.disconnect(hear, sender=TaskResult)


def test_signals_are_sent_to_those_who_listen(deleted: list[str], before: Any) -> None:
    """As by any other deletion with Django."""
    make(3)
    make(1, 0, prefix="young")
    assert [2, 1] == clean(2, before)
    assert ["t0", "t1", "t2"] == sorted(deleted)


# -- What a batch costs --------------------------------------------------------------

# Without SAVEPOINT and RELEASE, which are BEGIN and COMMIT outside of a test.
LOCK = "UPDATE"
UNSEEN = {
    "sqlite": ["SELECT", LOCK, "DELETE"],
    "postgresql": ["SELECT", "DELETE"],
    "mariadb": ["SELECT", "SELECT LOCKING", "DELETE"],
}
SEEN = {
    "sqlite": [LOCK, "SELECT", "SELECT", "SELECT", "DELETE"],
    "postgresql": ["SELECT LOCKING", "SELECT", "SELECT", "DELETE"],
    "mariadb": ["SELECT", "SELECT LOCKING", "SELECT", "SELECT", "DELETE"],
}


def statements(before: Any) -> list[str]:
    """Clean up the rows by age; return the kinds of the statements of the first batch."""
    made: list[str] = []

    def note(execute: Any, sql: str, *details: Any) -> Any:
        kind = sql.partition(" ")[0]
        locking = kind == "SELECT" and "FOR UPDATE" in sql
        made.append(f"{kind} LOCKING" if locking else kind)
        return execute(sql, *details)

    deletion: BatchDeletion[TaskResult] = BatchDeletion(repeat=once, size=10, before=before)
    by_age = list(TaskResult.objects.due(HOUR))[1]
    batches = TaskResult.objects.delete_due(deletion, by_age)
    with connection.execute_wrapper(note):
        next(batches)
    return [kind for kind in made if kind not in ("SAVEPOINT", "RELEASE")]


def test_the_statements_of_a_batch() -> None:
    """No row is read, and none but its key leaves the database."""
    make(30)
    assert UNSEEN[settings.DATABASE] == statements(None)


def test_the_statements_of_a_batch_that_is_looked_at() -> None:
    """It is found, read, looked at, found again without what changed, and deleted."""
    make(30)
    assert SEEN[settings.DATABASE] == statements(Watcher().before)


def peak(count: int) -> int:
    """Return the bytes that were in use at once, at most, to delete so many rows."""
    make(count, result="1" * 1000)
    tracemalloc.start()
    clean(100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_the_memory_needed_does_not_grow_with_the_rows() -> None:
    """Three times as many, whose results alone have two million bytes more, need no more."""
    peak(100)
    assert peak(3000) - peak(1000) < 200_000


@pytest.mark.parametrize("way", [0, 1], ids=["own date", "age"])
def test_what_is_due_is_one_range_of_one_index(way: int) -> None:
    """In its order, also where most rows have a date of their own that is far away."""
    make(900, prefix="long", date_expires=ago(-300 * DAY))
    make(50, prefix="own", date_expires=ago(60))
    make(50, prefix="aged")
    due = list(TaskResult.objects.due(HOUR))[way]
    if connection.vendor == "postgresql":
        # Otherwise it reads and sorts the whole of a table that is so small.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    plan = due.page(TaskResult.objects.using("default"))[:10].explain()
    assert INDEX in plan
    assert not re.search(r"filesort|TEMP B-TREE FOR ORDER BY|(?<!Incremental )Sort  ", plan), plan


def test_this_database_is_the_one_meant() -> None:
    """MariaDB and PostgreSQL skip locked rows."""
    skips = connection.features.has_select_for_update_skip_locked
    assert (settings.DATABASE != "sqlite") == skips


# -- Beside others -------------------------------------------------------------------


@pytest.mark.skipif(settings.DATABASE == "sqlite", reason="SQLite locks the whole file")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_rows_that_somebody_holds_are_left_and_not_waited_for(
    before: Any, forbidden: tuple[str, ...]
) -> None:
    """However many others there are, and also if there are none."""
    make(5)
    with connection.cursor() as cursor:
        for name in forbidden:
            cursor.execute(f"SET {name} = off")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            for task_id in ("t1", "t3"):
                cursor.execute(HOLD, [task_id])
            assert (3, ["t1", "t3"]) == (sum(clean(3, before)), ids())
            assert [] == clean(3, before)
    finally:
        other.close()
        connection.close()


@pytest.mark.races
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("forbidden", FORBIDDEN)
@pytest.mark.parametrize("heard", [False, True], ids=["unseen", "seen"])
def test_two_cleaners_share_the_work_beside_writers(
    heard: bool, forbidden: tuple[str, ...]
) -> None:
    """All that is due goes, once; what is written again meanwhile stays, and nobody fails."""
    make(2000, status="FAILURE")
    make(3, 0, prefix="young")
    results = at_once(4, clean_or_write, HOUR, 2000, heard, forbidden)
    deleted = sum(one["deleted"] for one in results)
    written = {task_id for one in results for task_id in one["written"]}
    gone = [task_id for one in results for task_id in one["gone"]]
    seen = [task_id for one in results for task_id in one["seen"]]
    left = set(ids())
    assert written | {"young0", "young1", "young2"} == left
    assert deleted >= 2003 - len(left)
    if heard:
        assert deleted == len(gone) == len(set(gone))
        # MariaDB may find that a batch is in a deadlock: it is shown again.
        assert set(gone) <= set(seen)
    if heard and settings.DATABASE != "mariadb":
        assert sorted(gone) == sorted(seen)
