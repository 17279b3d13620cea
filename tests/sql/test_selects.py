"""Reading rows by a key."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import connections

from django_celery_results.models import TaskResult
from django_celery_results.sql import selects
from django_celery_results.sql.selects import SelectByKey
from tests.rows import BOTH, COMMITTED, row, store, write

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def select(*columns: str) -> SelectByKey:
    """Return the select that reads those columns of task rows."""
    rows: Any = TaskResult.objects.order_by().values_list(*columns)
    return SelectByKey(rows, "task_id")


def fetch(task_ids: list[str], alias: str = "default") -> list[tuple[Any, ...]]:
    """Return the ids and the states."""
    found = select("task_id", "status").fetch(connections[alias], task_ids)
    return sorted(tuple(one) for one in found)


@pytest.mark.parametrize("task_ids", [[], ["t1"], ["t3"], ["t1", "t3"], ["t1", "t2", "t3"]])
def test_rows_are_found_by_their_key(task_ids: list[str]) -> None:
    """Ids that do not exist are left out."""
    for task_id in ("t1", "t2"):
        write(states.SUCCESS, task_id)
    expected = [(one, states.SUCCESS) for one in task_ids if one != "t3"]
    assert expected == fetch(task_ids)


def test_values_are_those_of_the_model() -> None:
    """A date is not the text that SQLite stores for it."""
    write(states.SUCCESS)
    [values] = select("date_done", "date_started").fetch(connections["default"], ["t1"])
    assert (row().date_done, None) == tuple(values)


@BOTH
def test_each_connection_has_its_own_statement() -> None:
    store(states.STARTED)
    store(states.SUCCESS, using="secondary")
    selected = select("status")
    found = [list(selected.fetch(connections[one], ["t1"])) for one in ("default", "secondary")]
    assert [[states.STARTED], [states.SUCCESS]] == [list(row) for [row] in found]


@COMMITTED
@pytest.mark.parametrize("number", [1, 2, 999])
def test_any_number_takes_one_query(
    number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The limit is that of the database."""
    with django_assert_num_queries(1):
        fetch([f"t{one}" for one in range(number)])


@COMMITTED
def test_more_than_the_database_takes_are_asked_for_in_chunks(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """SQLite limits the number of parameters."""
    monkeypatch.setattr(selects, "_most_parameters", lambda _: 2)
    write(states.SUCCESS, "t4")
    with django_assert_num_queries(3):
        assert [("t4", states.SUCCESS)] == fetch([f"t{one}" for one in range(5)])


@pytest.mark.skipif(not hasattr(sqlite3.Connection, "getlimit"), reason="Python cannot ask")
@COMMITTED
def test_a_thousand_take_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """A backend asks for a thousand at a time."""
    with django_assert_num_queries(1):
        fetch([f"t{one}" for one in range(1000)])
