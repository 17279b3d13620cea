"""Temporary errors of a database: every code, and the errors of the real drivers."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
)

from django_celery_results.models import TaskResult
from django_celery_results.sql.django_internals import connection_of
from django_celery_results.sql.errors import (
    MYSQL,
    POSTGRESQL,
    SQLITE,
    Trouble,
    trouble_of,
)
from tests import settings as test_settings
from tests.backends.common import make_row

if TYPE_CHECKING:
    from collections.abc import Callable


def raised(
    driver: str, *arguments: Any, name: str = "OperationalError", **attributes: Any
) -> Exception:
    """Return Django's error for one of a driver, which need not be installed."""
    body = {"__module__": driver, **attributes}
    error = OperationalError(*arguments)
    error.__cause__ = type(name, (Exception,), body)(*arguments)
    return error


@pytest.mark.parametrize(("code", "expected"), POSTGRESQL.items())
def test_codes_of_postgresql(code: str, expected: Trouble) -> None:
    """Drivers name the attribute differently; a class is the first two characters."""
    code = f"{code:0<5}"
    assert expected == trouble_of(raised("psycopg.errors", sqlstate=code))
    assert expected == trouble_of(raised("psycopg2.errors", pgcode=code))


@pytest.mark.parametrize(
    "code",
    [
        "23505",  # unique_violation
        "22001",  # string_data_right_truncation
        "28P01",  # invalid_password
        "3D000",  # invalid_catalog_name
        "42P01",  # undefined_table
        "42703",  # undefined_column
        "42501",  # insufficient_privilege
        "53100",  # disk_full
        "57014",  # query_canceled: statement_timeout, or cancelled by hand
    ],
)
def test_permanent_codes_of_postgresql(code: str) -> None:
    """A retry would fail again, and a statement that took too long would take as long again."""
    assert trouble_of(raised("psycopg.errors", sqlstate=code)) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("server closed the connection unexpectedly", Trouble.CONNECTION),
        ("connection failed: Connection refused", Trouble.CONNECTION),
        ("failed to resolve host 'db': Name or service not known", Trouble.CONNECTION),
        ("FATAL:  sorry, too many clients already", Trouble.CONNECTION),
        ("FATAL:  the database system is starting up", Trouble.CONNECTION),
        ('FATAL:  password authentication failed for user "x"', None),
        ('FATAL:  database "x" does not exist', None),
        ('FATAL:  role "x" does not exist', None),
        ("FATAL:  no pg_hba.conf entry for host", None),
    ],
)
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "psycopg_pool.errors"])
def test_postgresql_without_a_code(driver: str, message: str, expected: Trouble | None) -> None:
    """A connection that is refused or lost has only a text."""
    error = raised(driver, message)
    if driver.startswith("psycopg_pool"):
        base = type("OperationalError", (Exception,), {"__module__": "psycopg", "sqlstate": None})
        error.__cause__ = type("PoolTimeout", (base,), {"__module__": driver})(message)
    assert expected == trouble_of(error)


def test_misuse_of_the_driver_is_permanent() -> None:
    """The error does not have a code."""
    assert trouble_of(raised("psycopg", "no", name="ProgrammingError", sqlstate=None)) is None


@pytest.mark.parametrize(("code", "expected"), MYSQL.items())
@pytest.mark.parametrize("driver", ["MySQLdb", "pymysql.err"])
def test_codes_of_mysql(driver: str, code: int, expected: Trouble) -> None:
    """The code is the first argument of the error."""
    assert expected == trouble_of(raised(driver, code, "message"))


@pytest.mark.parametrize(
    "code",
    [
        1021,  # ER_DISK_FULL
        1045,  # ER_ACCESS_DENIED_ERROR
        1049,  # ER_BAD_DB_ERROR
        1054,  # ER_BAD_FIELD_ERROR
        1062,  # ER_DUP_ENTRY
        1114,  # ER_RECORD_FILE_FULL
        1146,  # ER_NO_SUCH_TABLE
        1317,  # ER_QUERY_INTERRUPTED
        1406,  # ER_DATA_TOO_LONG
        1698,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
        1969,  # ER_STATEMENT_TIMEOUT, MariaDB's
        3024,  # ER_QUERY_TIMEOUT, MySQL's
    ],
)
def test_permanent_codes_of_mysql(code: int) -> None:
    """A retry would fail again."""
    assert trouble_of(raised("MySQLdb", code, "message")) is None


def test_an_error_of_mysql_without_a_code_is_permanent() -> None:
    assert trouble_of(raised("MySQLdb")) is None


@pytest.mark.parametrize(("code", "expected"), SQLITE.items())
def test_codes_of_sqlite(code: int, expected: Trouble) -> None:
    """They may be extended: 517 is SQLITE_BUSY_SNAPSHOT."""
    for extended in (code, code + 512):
        assert expected == trouble_of(raised("sqlite3", sqlite_errorcode=extended))


@pytest.mark.parametrize("code", [1, 8, 10, 11, 13, 14, 19])
def test_permanent_codes_of_sqlite(code: int) -> None:
    """A wrong statement, or a read-only, unreadable, corrupt, full or missing file."""
    assert trouble_of(raised("sqlite3", sqlite_errorcode=code)) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("database is locked", Trouble.CONFLICT),
        ("database table is locked: main", Trouble.CONFLICT),
        ("no such table: django_celery_results_taskresult", None),
        ("database or disk is full", None),
    ],
)
def test_messages_of_sqlite(message: str, expected: Trouble | None) -> None:
    """Python 3.10 does not have the codes."""
    error = OperationalError(message)
    error.__cause__ = sqlite3.OperationalError(message)
    assert expected == trouble_of(error)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("gone"), Trouble.CONNECTION),
        (InterfaceError("closed"), Trouble.CONNECTION),
        (ProgrammingError("no such table"), None),
        (InternalError("no"), None),
        (ValueError("no"), None),
        (raised("oracledb", "gone"), Trouble.CONNECTION),
        (raised("oracledb", "no", name="DatabaseError"), None),
    ],
)
def test_drivers_that_are_not_known(error: Exception, expected: Trouble | None) -> None:
    """Only PEP 249's two exceptions for a disconnect can tell."""
    assert expected == trouble_of(error)


# -- Real ones -----------------------------------------------------------------------


def error_of(work: Callable[[], Any]) -> DatabaseError:
    """Return the error that Django raises for the call."""
    with pytest.raises(DatabaseError) as caught:
        work()
    return caught.value


def run(statement: str, alias: str = "default") -> None:
    """Execute a statement."""
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM not_there", "SELECT not_there FROM django_celery_results_taskresult"],
)
def test_a_missing_table_or_column_is_permanent(statement: str) -> None:
    """The site may have forgotten to migrate."""
    assert trouble_of(error_of(lambda: run(statement))) is None


@pytest.mark.django_db(transaction=True)
def test_an_integrity_error_is_permanent() -> None:
    """This holds for every database."""
    make_row("t1")
    error = error_of(lambda: make_row("t1"))
    assert isinstance(error, IntegrityError)
    assert trouble_of(error) is None


@pytest.mark.django_db(transaction=True)
def test_a_data_error_is_permanent() -> None:
    """The state does not fit its column; SQLite takes any length, but refuses NULL."""
    status = None if test_settings.DATABASE == "sqlite" else "x" * 60
    assert trouble_of(error_of(lambda: make_row("t1", status=status))) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite limits no statement")
def test_a_statement_that_took_too_long_is_permanent() -> None:
    """It would take as long again, and the site has set the limit."""
    make_row("t1")
    if connection.vendor == "mysql":
        slow = "SET STATEMENT max_statement_time=0.1 FOR SELECT sleep(3)"
    else:
        slow = "SET statement_timeout = 100; SELECT pg_sleep(10)"
    try:
        assert trouble_of(error_of(lambda: run(slow))) is None
    finally:
        connection.close()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("NAME", "not_there"),
        ("USER", "not_there"),
        # PostgreSQL may trust every user; otherwise its message is in the table above.
        *[("PASSWORD", "wrong")] * (test_settings.DATABASE == "mariadb"),
    ],
)
@pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no users")
def test_a_refusal_is_permanent(option: str, value: str) -> None:
    """The database or the user is unknown, or the password is wrong where one is needed."""
    other: Any = connection.copy()
    other.settings_dict = {**other.settings_dict, option: value}
    assert trouble_of(error_of(other.ensure_connection)) is None


@pytest.mark.django_db
@pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no server")
def test_a_server_that_is_not_there_may_come_back() -> None:
    """No server listens on port 1."""
    other: Any = connection.copy()
    other.settings_dict = {**other.settings_dict, "PORT": 1}
    error = error_of(other.ensure_connection)
    assert Trouble.CONNECTION == trouble_of(error)
    assert other is connection_of(error)


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
def test_an_error_tells_its_connection() -> None:
    """There are several connections."""
    error = error_of(lambda: TaskResult.objects.using("secondary").extra(where=["no"]).count())
    assert connections["secondary"] is connection_of(error)


def test_an_error_that_no_connection_raised_tells_none() -> None:
    assert connection_of(OperationalError("made up")) is None
