"""Upserts: when one statement can write a row, what it sends, and how it fails."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import IntegrityError, connections, models, transaction
from django.db.models.functions import Lower
from django.test.utils import isolate_apps
from django.utils import timezone

from django_celery_results.managers import WRITE
from django_celery_results.models import TaskResult
from django_celery_results.sql import upserts
from django_celery_results.sql.clock import DatabaseNow
from django_celery_results.sql.upserts import find_upsert
from tests import settings as test_settings
from tests.rows import COMMITTED, JSON, row, write

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db

FIELDS = {**JSON, "task_id": "t1", "status": states.SUCCESS, "result": "1"}


# -- Queries -------------------------------------------------------------------------


@COMMITTED
@pytest.mark.parametrize("first", [None, states.STARTED, states.SUCCESS])
@pytest.mark.parametrize("status", [states.PENDING, states.STARTED, states.SUCCESS])
def test_a_write_takes_one_query(
    first: str | None, status: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """It needs no transaction, for any existing row and any state."""
    if first is not None:
        write(first)
    with django_assert_num_queries(1):
        write(status, date_started=DatabaseNow())


def test_a_statement_is_compiled_once_for_a_database_and_its_columns() -> None:
    """Other values reuse it; another database or other columns do not."""
    first, second = connections["default"], connections["secondary"]
    once = find_upsert(first, TaskResult, WRITE, FIELDS)
    assert once is find_upsert(first, TaskResult, WRITE, {**FIELDS, "result": "2"})
    assert once is not find_upsert(second, TaskResult, WRITE, FIELDS)
    assert once is not find_upsert(first, TaskResult, WRITE, {**FIELDS, "worker": "w"})


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start with no compiled statements, and keep none for later tests."""
    monkeypatch.setattr(upserts, "_statements", {})


# -- Where there is none -------------------------------------------------------------


def statement(model: type[models.Model], **fields: Any) -> Any:
    """Return the statement that writes such a row of ``model``, if one exists."""
    return find_upsert(connections["default"], model, WRITE, {**FIELDS, **fields})


def test_a_value_that_is_an_expression_takes_several_statements() -> None:
    """Callers of 2.6 may pass expressions, whose statement could not be kept."""
    assert None is statement(TaskResult, worker=Lower(models.Value("W")))
    write(states.STARTED, worker=Lower(models.Value("V")))
    assert "v" == row().worker
    write(states.SUCCESS, worker=Lower(models.Value("W")))
    assert "w" == row().worker


class Columns(models.Model):
    """The columns that a site's own model needs at least."""

    task_id = models.CharField(max_length=50, unique=True)
    status = models.CharField(max_length=50)
    result = models.TextField()
    content_type = models.CharField(max_length=50)
    content_encoding = models.CharField(max_length=50)

    class Meta:
        abstract = True


@isolate_apps("tests.dependent")
def test_models_that_one_statement_cannot_write() -> None:
    """Their rows are in two tables, or the database does not make their keys."""

    class Named(Columns):
        id = models.CharField(max_length=50, primary_key=True)

        class Meta:
            app_label = "dependent"

    class Parent(Columns):
        id = models.BigAutoField(primary_key=True)

        class Meta:
            app_label = "dependent"

    class Child(Parent):
        class Meta:
            app_label = "dependent"

    assert [None, None] == [statement(Named), statement(Child)]
    assert None is not statement(Parent)


@pytest.mark.usefixtures("nothing_compiled")
def test_a_database_without_upserts_takes_several_statements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the databases that Django supports, Oracle is one."""
    connection = connections["default"]
    monkeypatch.setattr(connection, "vendor", "oracle")
    monkeypatch.setattr(connection.features, "supports_update_conflicts_with_target", False)
    assert None is statement(TaskResult)


# -- What is sent --------------------------------------------------------------------


@isolate_apps("tests.dependent")
def test_columns_of_a_sites_own_get_their_default() -> None:
    """Each write makes a new default, which only an insert uses."""
    counter = iter(range(9))

    class Counted(Columns):
        id = models.BigAutoField(primary_key=True)
        number = models.IntegerField(default=lambda: next(counter))

        class Meta:
            app_label = "dependent"

    upsert = statement(Counted)
    first, second = (
        [slot.parameter(FIELDS, connections["default"]) for slot in upsert.slots][-1]
        for _ in range(2)
    )
    assert first + 1 == second
    assert "number" not in upsert.sql.partition("UPDATE")[2]


@pytest.mark.skipif(test_settings.DATABASE == "postgresql", reason="it keeps the time zone itself")
def test_a_time_zone_of_the_databases_own_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are dated in the ``TIME_ZONE`` of ``DATABASES``."""
    connection: Any = connections["default"]
    monkeypatch.setitem(connection.settings_dict, "TIME_ZONE", "Asia/Tokyo")
    for name in ("timezone", "timezone_name"):
        connection.__dict__.pop(name, None)
    try:
        write(states.STARTED, date_started=DatabaseNow())
        dates = (row().date_started, row().date_created, row().date_done)
    finally:
        for name in ("timezone", "timezone_name"):
            connection.__dict__.pop(name, None)
    assert all(abs(timezone.now() - date) < timedelta(minutes=5) for date in dates)


def test_the_clock_is_that_of_the_database() -> None:
    """If the database has a clock, the statement itself reads it."""
    sql = statement(TaskResult).sql
    clock = {"postgresql": "STATEMENT_TIMESTAMP()", "mariadb": "UTC_TIMESTAMP(6)", "sqlite": ""}
    assert clock[test_settings.DATABASE] in sql
    assert ("TIMESTAMP" in sql) is (test_settings.DATABASE != "sqlite")


def test_text_is_made_of_other_values() -> None:
    """The field converts them."""
    write(states.SUCCESS, worker=7)
    assert "7" == row().worker


@pytest.mark.usefixtures("nothing_compiled")
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MySQL's own words")
@pytest.mark.parametrize(
    ("version", "expected"),
    [((8, 0, 18), "VALUES(`result`)"), ((8, 0, 19), "AS new ON DUPLICATE KEY UPDATE")],
)
def test_mysql_has_its_own_syntax(
    version: tuple[int, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL deprecates ``VALUES``, and MariaDB has nothing else."""
    connection = connections["secondary"]
    monkeypatch.setattr(connection, "mysql_is_mariadb", False)
    monkeypatch.setattr(connection, "mysql_version", version)
    upsert = find_upsert(connection, TaskResult, WRITE, FIELDS)
    assert upsert is not None
    assert expected in upsert.sql


# -- Errors --------------------------------------------------------------------------


def test_an_error_marks_the_callers_transaction() -> None:
    """The caller cannot go on as if nothing had happened, as after Django's own methods."""
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            write(states.SUCCESS, content_type=None)
        with pytest.raises(transaction.TransactionManagementError):
            row()
        transaction.set_rollback(True)
