"""Counting a chord's part in one step, if it is new and not the last one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from django_celery_results.models import ChordCounter
from django_celery_results.models import ChordPart as PartModel
from django_celery_results.records import ChordPart, ChordRecord, Contents
from django_celery_results.storages.database.chords import DatabaseChords
from django_celery_results.storages.database.part_counting import count_quickly
from tests.backends.common import COMMITTED

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = COMMITTED

CONTENTS = Contents(
    fields={"result": "5"}, content_type="application/json", content_encoding="utf-8"
)


def start(*task_ids: str) -> None:
    """Start the chord ``c1``."""
    header = [[[task_id, None], None] for task_id in task_ids]
    DatabaseChords(None).start(ChordRecord(group_id="c1", size=len(task_ids), results=header))


def part(task_id: str, **facts: Any) -> ChordPart:
    """Return a part of ``c1``."""
    return ChordPart(**{"group_id": "c1", "task_id": task_id, "status": states.SUCCESS, **facts})


def counted() -> tuple[int, list[str]]:
    """Return the number of parts to come, and the ids of the counted parts."""
    ids = PartModel.objects.order_by("pk").values_list("task_id", flat=True)
    return ChordCounter.objects.get().count, list(ids)


def statements(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements sent to the database, except the begin and end of transactions."""
    every = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in every if sql not in {"BEGIN", "COMMIT"}]


@pytest.fixture
def queries() -> Iterator[CaptureQueriesContext]:
    """Capture queries; the connection is open by then."""
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as found:
        yield found


def test_a_part_takes_few_statements(queries: CaptureQueriesContext) -> None:
    """It takes one if a statement can do both steps, and two elsewhere."""
    start("a", "b")
    before = len(statements(queries))
    assert count_quickly("default", part("a"))
    expected = 1 if connection.vendor == "postgresql" else 2
    assert expected == len(statements(queries)) - before


def test_the_part_is_stored_with_its_contents() -> None:
    """It carries its result if the task ignores it."""
    start("a", "b")
    count_quickly("default", part("a", group_index=7, contents=CONTENTS))
    columns = ("task_id", "group_index", "status", "content_type", "content_encoding", "result")
    expected = ("a", 7, "SUCCESS", "application/json", "utf-8", "5")
    assert [expected] == list(PartModel.objects.values_list(*columns))
    assert None is not PartModel.objects.get().date_created


def test_a_part_counts_once() -> None:
    """The second delivery is left to the locked path."""
    start("a", "b", "c")
    assert [True, False] == [count_quickly("default", part("a")) for _ in range(2)]
    assert (2, ["a"]) == counted()


def test_the_last_part_is_not_counted_here() -> None:
    """It also has to claim the body, under the lock."""
    start("a", "b")
    assert [True, False] == [count_quickly("default", part(one)) for one in "ab"]
    assert (1, ["a"]) == counted()


def test_a_part_of_an_unknown_chord_is_not_counted() -> None:
    assert not count_quickly("default", part("a"))
    assert not PartModel.objects.exists()


def test_a_refused_part_leaves_the_callers_transaction_usable() -> None:
    start("a", "b", "c")
    with transaction.atomic():
        assert [True, False] == [count_quickly("default", part("a")) for _ in range(2)]
        assert count_quickly("default", part("b"))
    assert (1, ["a", "b"]) == counted()


def test_a_part_is_rolled_back_with_the_callers_transaction() -> None:
    start("a", "b", "c")
    with transaction.atomic():
        count_quickly("default", part("a"))
        transaction.set_rollback(True)
    assert (3, []) == counted()


def test_a_part_is_counted_without_autocommit_too() -> None:
    """The caller, who switched autocommit off, commits."""
    start("a", "b", "c")
    transaction.set_autocommit(False)
    try:
        assert [True, False] == [count_quickly("default", part("a")) for _ in range(2)]
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert (2, ["a"]) == counted()


def test_a_part_delivered_twice_at_one_moment_counts_once() -> None:
    """The second transaction cannot see the first one's part, but hits its unique key."""
    start("a", "b", "c")
    answers: list[bool] = []

    def second() -> None:
        answers.append(count_quickly("default", part("a")))
        connection.close()

    thread = threading.Thread(target=second)
    with transaction.atomic():
        assert count_quickly("default", part("a"))
        thread.start()
        # By now it probably waits for the lock; if it does not, the outcome is the same.
        thread.join(0.3)
    thread.join()
    assert [False] == answers
    assert (2, ["a"]) == counted()


def test_other_errors_are_not_taken_for_an_existing_part() -> None:
    """They reach the caller."""
    start("a", "b")
    with pytest.raises((DatabaseError, OverflowError)):
        count_quickly("default", part("a", group_index=2**70))
