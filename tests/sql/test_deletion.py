"""Deleting in batches: what each batch costs, who sees it, and which rows are left out."""

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
#: The plans that PostgreSQL must not use, so that it scans the table, or uses the index.
FORBIDDEN: list[tuple[str, ...]] = (
    [("enable_indexscan", "enable_bitmapscan"), ("enable_seqscan",)]
    if settings.DATABASE == "postgresql"
    else [()]
)
HOLD = f"SELECT id FROM {TaskResult._meta.db_table} WHERE task_id = %s FOR UPDATE"


class Watcher:
    """Agrees to each batch, and records it before and after."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused
        self.seen: list[list[str]] = []
        self.gone: list[list[str]] = []

    def before(self, batch: list[TaskResult]) -> bool:
        """Record the batch; refuse it if its number is in ``refused``."""
        self.seen.append([one.task_id for one in batch])
        return len(self.seen) not in self.refused

    def after(self, batch: list[TaskResult]) -> None:
        """Record the batch."""
        self.gone.append([one.task_id for one in batch])


def clean(size: int, before: Any = None, after: Any = None) -> list[int]:
    """Delete rows older than an hour; return how many each batch deleted."""
    deletion: BatchDeletion[TaskResult] = BatchDeletion(
        repeat=once, size=size, before=before, after=after
    )
    return list(TaskResult.objects.delete_due(deletion, *TaskResult.objects.due(HOUR)))


@pytest.fixture(params=["unseen", "seen"])
def before(request: pytest.FixtureRequest) -> Any:
    """An observer of the batches, or none."""
    return None if request.param == "unseen" else Watcher().before


def test_rows_are_deleted_in_batches(before: Any) -> None:
    make(7)
    assert ([3, 3, 1], []) == (clean(3, before), ids())


def test_rows_written_at_the_same_moment_are_all_deleted(before: Any) -> None:
    """The key tells them apart."""
    make(10)
    assert [1] * 10 == clean(1, before)


def test_rows_with_their_own_expiry_are_all_deleted(before: Any) -> None:
    """The date when they were written does not matter."""
    make(3, 0, prefix="young", date_expires=ago(60))
    make(3, 9, prefix="old", date_expires=ago(60))
    make(2, 0, prefix="stays", date_expires=ago(-DAY))
    assert ([2, 2, 2], ["stays0", "stays1"]) == (clean(2, before), ids())


def test_a_batch_is_no_larger_than_the_database_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are parameters of a query."""
    # An attribute of the class or, once it was read, of the instance.
    monkeypatch.delitem(vars(connection.features), "max_query_params", raising=False)
    monkeypatch.setattr(type(connection.features), "max_query_params", 2)
    make(3)
    assert [2, 1] == clean(1000, Watcher().before)


def test_there_are_pauses_between_batches(monkeypatch: pytest.MonkeyPatch, before: Any) -> None:
    """There is none after the last batch."""
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
    """The oldest rows come first."""
    make(1, 3 * HOUR, prefix="c")
    make(1, 4 * HOUR, prefix="b")
    make(1, 5 * HOUR, prefix="a")
    watcher = Watcher()
    clean(2, watcher.before, watcher.after)
    assert [["a0", "b0"], ["c0"]] == watcher.seen == watcher.gone


def test_a_kept_batch_does_not_stop_the_next() -> None:
    make(6)
    watcher = Watcher(1)
    assert [2, 2] == clean(2, watcher.before, watcher.after)
    assert sorted(watcher.seen[0]) == ids()
    assert watcher.seen[1:] == watcher.gone


def test_rows_that_are_seen_have_all_fields(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """A deferred field would take a query for each row."""
    make(5, result="1")
    seen: list[Any] = []

    def before(batch: list[TaskResult]) -> bool:
        with django_assert_num_queries(0):
            seen.extend(one.result for one in batch)
        return True

    clean(5, before)
    assert ["1"] * 5 == seen


def test_a_row_written_while_it_is_seen_stays() -> None:
    """``after`` does not get it."""
    make(3)
    watcher = Watcher()

    def before(batch: list[TaskResult]) -> bool:
        TaskResult.objects.filter(pk=batch[0].pk).update(date_done=ago(0))
        return True

    assert [2] == clean(3, before, watcher.after)
    assert (1, 2) == (len(ids()), len(watcher.gone[0]))


def test_a_batch_that_others_delete_while_it_is_seen_is_not_counted() -> None:
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


def test_deletion_signals_are_sent(deleted: list[str], before: Any) -> None:
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
    """Clean up the rows by age; return the kinds of the first batch's statements."""
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
    """Rows are not read, and only their keys leave the database."""
    make(30)
    assert UNSEEN[settings.DATABASE] == statements(None)


def test_the_statements_of_a_batch_that_is_seen() -> None:
    """They find it, read it, find again what is still due, and delete it."""
    make(30)
    assert SEEN[settings.DATABASE] == statements(Watcher().before)


def peak(count: int) -> int:
    """Return the largest number of bytes in use at once while deleting that many rows."""
    make(count, result="1" * 1000)
    tracemalloc.start()
    clean(100)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_the_memory_needed_does_not_grow_with_the_rows() -> None:
    """The second time has three times as many rows, with two million bytes more of results."""
    peak(100)
    assert peak(3000) - peak(1000) < 200_000


@pytest.mark.parametrize("way", [0, 1], ids=["own date", "age"])
def test_what_is_due_is_one_range_of_one_index(way: int) -> None:
    """It is read in the index's order, even if most rows have their own, distant date."""
    make(900, prefix="long", date_expires=ago(-300 * DAY))
    make(50, prefix="own", date_expires=ago(60))
    make(50, prefix="aged")
    due = list(TaskResult.objects.due(HOUR))[way]
    if connection.vendor == "postgresql":
        # Otherwise it reads and sorts the whole table, because the table is small.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
    plan = due.page(TaskResult.objects.using("default"))[:10].explain()
    assert INDEX in plan
    assert not re.search(r"filesort|TEMP B-TREE FOR ORDER BY|(?<!Incremental )Sort  ", plan), plan


def test_the_database_skips_locked_rows() -> None:
    """This holds for MariaDB and PostgreSQL."""
    skips = connection.features.has_select_for_update_skip_locked
    assert (settings.DATABASE != "sqlite") == skips


# -- Beside others -------------------------------------------------------------------


@pytest.mark.skipif(settings.DATABASE == "sqlite", reason="SQLite locks the whole file")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("forbidden", FORBIDDEN)
def test_locked_rows_are_left_and_not_waited_for(before: Any, forbidden: tuple[str, ...]) -> None:
    """There may be many other rows, or none."""
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
def test_two_cleaners_share_the_work_while_others_write(
    heard: bool, forbidden: tuple[str, ...]
) -> None:
    """Each due row is deleted once, rows that are written again stay, and no process fails."""
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
        # On MariaDB a batch may end in a deadlock, and is then shown again.
        assert set(gone) <= set(seen)
    if heard and settings.DATABASE != "mariadb":
        assert sorted(gone) == sorted(seen)
