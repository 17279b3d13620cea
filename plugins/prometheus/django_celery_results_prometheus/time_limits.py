"""A limit of time for queries, on each database in its own words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import transaction

__all__ = ["time_limit"]


def time_limit(connection: Any, seconds: float) -> AbstractContextManager[None]:
    """Let no query within take longer; one that does raises Django's ``OperationalError``.

    Other databases than PostgreSQL, MariaDB, MySQL and SQLite have no limit.
    """
    limit = LIMITS.get(connection.vendor)
    return nullcontext() if limit is None else limit(connection, seconds)


@contextmanager
def _postgresql(connection: Any, seconds: float) -> Iterator[None]:
    milliseconds = str(round(seconds * 1000))
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
        yield
        # Takes back the setting too, within somebody else's transaction.
        transaction.set_rollback(True, using=connection.alias)


@contextmanager
def _mysql(connection: Any, seconds: float) -> Iterator[None]:
    ask, change = MARIADB if connection.mysql_is_mariadb else MYSQL
    value = seconds if connection.mysql_is_mariadb else round(seconds * 1000)
    with connection.cursor() as cursor:
        cursor.execute(ask)
        before = cursor.fetchone()
        cursor.execute(change, [value])
        try:
            yield
        finally:
            cursor.execute(change, before)


MARIADB = ("SELECT @@max_statement_time", "SET SESSION max_statement_time = %s")
MYSQL = ("SELECT @@max_execution_time", "SET SESSION max_execution_time = %s")


@contextmanager
def _sqlite(connection: Any, seconds: float) -> Iterator[None]:
    connection.ensure_connection()
    deadline = time.monotonic() + seconds
    driver = connection.connection
    # Asked after so many instructions of SQLite's virtual machine.
    driver.set_progress_handler(lambda: time.monotonic() > deadline, 1000)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)


LIMITS: Mapping[str, Callable[[Any, float], AbstractContextManager[None]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
