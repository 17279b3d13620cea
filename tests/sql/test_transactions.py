"""Writes that outlast the caller's transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from django_celery_results.models import TaskResult
from django_celery_results.sql import transactions
from django_celery_results.sql.transactions import outlast

pytestmark = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Rolls a block back."""


def write() -> bool:
    """Write a row, unless it exists."""
    return bool(TaskResult.objects.get_or_create(task_id="t1")[1])


def roll_back_a_write() -> None:
    """Write a row in a transaction that is rolled back."""
    with suppress(Undone), transaction.atomic():
        assert outlast("default", write, what="the row")
        raise Undone


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this database's transactions be written beside, even if it is SQLite."""
    monkeypatch.setitem(transactions.PLACES, connection.vendor, "SELECT 1")


@pytest.mark.usefixtures("beside")
def test_a_write_on_a_connection_of_its_own_is_there_at_once() -> None:
    usual = connections["default"]
    with transaction.atomic():
        outlast("default", write, what="the row")
        assert not usual.run_on_commit
        assert usual is connections["default"]
        transaction.set_rollback(True)
    assert TaskResult.objects.filter(task_id="t1").exists()


@pytest.mark.usefixtures("beside")
def test_a_write_in_a_transaction_that_is_due_for_rollback() -> None:
    """Django refuses every query on the usual connection."""
    with transaction.atomic():
        transaction.set_rollback(True)
        assert outlast("default", write, what="the row")
    assert TaskResult.objects.filter(task_id="t1").exists()


@pytest.mark.parametrize("trouble", ["refused", "elsewhere"])
@pytest.mark.usefixtures("beside")
def test_a_second_connection_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    """The server has no connection left, or the new one would use the tables of another schema."""
    usual = connections["default"]

    def place(one: Any) -> Any:
        if one is usual:
            return "here"
        if trouble == "refused":
            raise OperationalError("too many connections")
        return "there"

    monkeypatch.setattr(transactions, "_place", place)
    roll_back_a_write()
    assert TaskResult.objects.filter(task_id="t1").exists()
    assert (trouble == "refused") == ("No second connection" in caplog.text)


def test_a_write_that_changes_nothing_is_not_repeated() -> None:
    calls: list[int] = []

    def nothing() -> bool:
        calls.append(1)
        return False

    with suppress(Undone), transaction.atomic():
        assert not outlast("default", nothing, what="nothing")
        raise Undone
    assert [1] == calls


def test_a_write_with_autocommit_off_takes_part_or_stands_alone() -> None:
    """Django does not tell how such a transaction ends."""
    transaction.set_autocommit(False)
    try:
        outlast("default", write, what="the row")
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert TaskResult.objects.filter(task_id="t1").exists()


def test_a_write_that_cannot_be_repeated_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rollback itself goes on."""
    monkeypatch.setattr(transactions, "PLACES", {})
    answers = iter([True])
    with suppress(Undone), transaction.atomic():
        outlast("default", lambda: next(answers), what="the row")
        raise Undone
    assert "contained the row, which could not be saved" in caplog.text
