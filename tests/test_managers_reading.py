"""How rows are found or found missing, and how groups are stored."""

from __future__ import annotations

from typing import Any

import pytest
from celery import states
from django.db import IntegrityError, connection, transaction

from django_celery_results.managers import TxIsolationWarning
from django_celery_results.models import GroupResult, TaskResult

from . import settings as test_settings
from .rows import BOTH, COMMITTED, elsewhere, row, write

pytestmark = pytest.mark.django_db


# -- Reading -------------------------------------------------------------------------


def test_get_task_gives_the_row() -> None:
    """The row exists here."""
    write(states.SUCCESS)
    assert row().pk == TaskResult.objects.get_task("t1").pk


def test_get_task_gives_an_unsaved_row() -> None:
    """Its state is Celery's state of an unknown task."""
    unknown = TaskResult.objects.get_task("none")
    assert (None, "none", states.PENDING) == (unknown.pk, unknown.task_id, unknown.status)


def test_get_group_gives_an_unsaved_row() -> None:
    """A second miss returns one again, without an error."""
    for _ in range(2):
        unknown = GroupResult.objects.get_group("none")
    assert (None, "none") == (unknown.pk, unknown.group_id)


def test_a_second_miss_is_fine_where_nothing_is_hidden() -> None:
    """Django's default isolation level hides no rows from a transaction."""
    for _ in range(2):
        assert None is TaskResult.objects.get_task("again").pk


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("look", ["get_task", "get_group"])
def test_a_second_miss_under_repeatable_read_warns(look: str) -> None:
    """In such a transaction, a row that is written later never appears."""
    manager: Any = TaskResult.objects if look == "get_task" else GroupResult.objects
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            getattr(manager, look)("hidden")
            with pytest.warns(TxIsolationWarning):
                getattr(manager, look)("hidden")
    finally:
        connection.close()


@COMMITTED
def test_a_second_miss_outside_a_transaction_is_fine() -> None:
    """Without a transaction, each query sees the latest rows."""
    for _ in range(2):
        assert None is TaskResult.objects.get_task("again").pk


# -- Groups --------------------------------------------------------------------------


def save_group(result: str = "[]", using: str | None = None) -> Any:
    """Save a group."""
    manager = GroupResult.objects
    return manager.store_group_result("application/json", "utf-8", "g1", result, using=using)


def test_a_group_is_stored_and_found() -> None:
    """It is found by its id."""
    saved = save_group()
    assert (saved.pk, "[]") == (GroupResult.objects.get_group("g1").pk, saved.result)


def test_saving_a_group_again_replaces_it() -> None:
    """The row is updated, not inserted again."""
    first = save_group()
    assert (first.pk, "[1]") == (save_group("[1]").pk, GroupResult.objects.get().result)


@BOTH
def test_a_group_is_stored_on_the_connection_named() -> None:
    """It is in no other database."""
    save_group(using="secondary")
    assert not GroupResult.objects.exists()
    assert GroupResult.objects.using("secondary").exists()


@COMMITTED
def test_a_race_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second writer replaces what the first one saved."""
    insert = type(GroupResult.objects).insert

    def late_insert(self: Any, using: str, **fields: Any) -> Any:
        monkeypatch.undo()
        elsewhere(save_group)
        return insert(self, using, **fields)

    monkeypatch.setattr(type(GroupResult.objects), "insert", late_insert)
    assert "[1]" == save_group("[1]").result


def test_a_refused_group_is_an_error() -> None:
    """The error is not mistaken for a race for the id."""
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupResult.objects.store_group_result(None, "utf-8", "g1", "[]")
