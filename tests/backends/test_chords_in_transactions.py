"""Chords applied inside a transaction: the body is sent whichever way the transaction ends."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches
from django.db import connection, connections, transaction

from django_celery_results.models import ChordCounter, ChordPart, TaskResult
from django_celery_results.sql import transactions

from .common import COMMITTED, Chord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.testing.fixtures import MakeBackend

#: Seconds that another thread may take.
PATIENCE = 60
#: SQLite lets nobody else write while the transaction is open.
WAITS = connection.vendor == "sqlite"


class Undone(Exception):
    """Rolls a block back."""


@contextmanager
def undone() -> Iterator[None]:
    """Open a transaction, or a savepoint in it, and roll it back at the end."""
    with suppress(Undone), transaction.atomic():
        yield
        raise Undone


@contextmanager
def marked() -> Iterator[None]:
    """Open a transaction that is marked for rollback, without an error."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


ENDS: dict[str, tuple[Callable[[], Any], ...]] = {
    "commit": (transaction.atomic,),
    "commit of all": (transaction.atomic, transaction.atomic),
    "rollback": (undone,),
    "rollback of a savepoint": (transaction.atomic, undone),
    "rollback of two savepoints": (transaction.atomic, undone, undone),
    "rollback of all": (undone, transaction.atomic),
    "rollback of each": (undone, undone),
    "rollback without an error": (marked,),
}


@contextmanager
def blocks(how: str) -> Iterator[None]:
    """Open the transaction that ends in this way."""
    with ExitStack() as stack:
        for block in ENDS[how]:
            stack.enter_context(block())
        yield


def elsewhere(function: Callable[[], Any]) -> threading.Thread:
    """Call the function on another thread, which has connections of its own."""

    def run() -> None:
        try:
            function()
        finally:
            connections.close_all()
            caches.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.fixture(params=["django-db", "django-cache://database"])
def chord(make_backend: MakeBackend, request: pytest.FixtureRequest) -> Chord:
    """A chord in a table, and one in the database cache."""
    caches["database"].clear()
    return Chord(make_backend(request.param, task_always_eager=True, task_store_eager_result=True))


@pytest.fixture
def in_table(make_backend: MakeBackend) -> Chord:
    """A chord in a table."""
    return Chord(make_backend(task_always_eager=True, task_store_eager_result=True))


def end_parts(chord: Chord) -> None:
    """Let both header tasks end."""
    chord.done("a", 1)
    chord.done("b", 2)


# -- The body is sent ----------------------------------------------------------------


@COMMITTED
@pytest.mark.parametrize("how", ENDS)
def test_a_part_that_ends_before_the_transaction_counts(chord: Chord, how: str) -> None:
    """On SQLite, its result is stored after the transaction at the earliest."""
    with blocks(how):
        TaskResult.objects.create(task_id="earlier")
        chord.start("a", "b")
        workers = elsewhere(lambda: end_parts(chord))
        workers.join(0.2 if WAITS else PATIENCE)
    workers.join(PATIENCE)
    assert [[1, 2]] == chord.sent
    assert not ChordCounter.objects.exists()
    assert not ChordPart.objects.exists()


@COMMITTED
@pytest.mark.parametrize("how", ENDS)
def test_a_part_that_ends_after_the_transaction_counts(chord: Chord, how: str) -> None:
    with blocks(how):
        chord.start("a", "b")
    end_parts(chord)
    assert [[1, 2]] == chord.sent
    assert not ChordCounter.objects.exists()


@COMMITTED
@pytest.mark.parametrize("how", ["commit", "rollback", "rollback of a savepoint"])
def test_a_part_that_found_no_chord_counts(
    in_table: Chord, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """No second connection was possible, and the part returned before the transaction ended."""
    monkeypatch.setattr(transactions, "PLACES", {})
    in_table.backend.store_result("a", 1, states.SUCCESS)
    with blocks(how):
        in_table.start("a")
    assert [[1]] == in_table.sent
    assert not ChordCounter.objects.exists()


@COMMITTED
@pytest.mark.parametrize("how", ENDS)
def test_a_part_that_is_added_in_a_transaction_is_waited_for(chord: Chord, how: str) -> None:
    """Its message is sent whichever way the transaction ends."""
    chord.start("a")
    with blocks(how):
        chord.backend.add_to_chord("c1", chord.result("b"))
    chord.done("a", 1)
    assert [] == chord.sent
    chord.done("b", 2)
    assert [[1, 2]] == chord.sent


@COMMITTED
def test_a_chord_in_a_transaction_that_is_due_for_rollback(
    in_table: Chord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django refuses every query on its connection."""
    monkeypatch.setitem(transactions.PLACES, connection.vendor, "SELECT 1")
    with transaction.atomic():
        transaction.set_rollback(True)
        in_table.start("a")
        in_table.backend.set_chord_size("c1", 1)
    in_table.done("a", 1)
    assert [[1]] == in_table.sent


@COMMITTED
def test_a_body_is_sent_once_though_another_callback_failed(in_table: Chord) -> None:
    """Django then calls none of the later callbacks, although the transaction is committed."""

    def fail() -> None:
        raise Undone

    def commit() -> None:
        with transaction.atomic():
            transaction.on_commit(fail)
            in_table.start("a")
            in_table.done("a", 1)

    with suppress(Undone):
        commit()
    assert [[1]] == in_table.sent
    assert not ChordCounter.objects.exists()


@COMMITTED
@pytest.mark.parametrize("how", ["commit", "rollback"])
def test_a_chord_that_was_finished_without_the_callback_is_deleted(
    in_table: Chord, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its body has a state, and is not sent again."""
    monkeypatch.setattr(transactions, "PLACES", {})
    in_table.backend.store_result("body-id", None, states.STARTED)
    with blocks(how):
        in_table.start("a")
    assert [] == in_table.sent
    assert not ChordCounter.objects.exists()


# -- A test's own transaction --------------------------------------------------------


@pytest.mark.django_db
def test_a_chord_in_a_test_case_stays_in_its_transaction(chord: Chord) -> None:
    """Nothing is written on another connection, where the test's end would not undo it."""
    seen: list[bool] = []
    for how in ENDS:
        with blocks(how):
            chord.start("a")
        elsewhere(lambda: seen.append(ChordCounter.objects.exists())).join(PATIENCE)
    assert [False] * len(ENDS) == seen


@COMMITTED
def test_a_chord_in_a_test_case_is_gone_with_it(chord: Chord) -> None:
    """The rollback at the test's end is not one that a chord should survive."""
    atomic: Any = transaction.atomic()
    atomic._from_testcase = True
    with suppress(Undone), atomic:
        with undone():
            chord.start("a")
        chord.start("b")
        raise Undone
    assert not ChordCounter.objects.exists()
    chord.done("b", 1)
    assert [] == chord.sent


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["commit", "rollback"])
def test_a_test_case_can_run_the_callbacks(
    in_table: Chord, django_capture_on_commit_callbacks: Any, how: str
) -> None:
    """Django's `captureOnCommitCallbacks` then sends the body of a chord that has ended."""
    in_table.backend.store_result("a", 1, states.SUCCESS)
    with django_capture_on_commit_callbacks(execute=True), blocks(how):
        in_table.start("a")
    assert [[1]] == in_table.sent
