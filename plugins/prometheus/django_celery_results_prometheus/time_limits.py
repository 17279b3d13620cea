"""A time limit for queries, set in each database's own way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import transaction

__all__ = ["time_limit"]


def time_limit(connection: Any, seconds: float) -> AbstractContextManager[None]:
    """Limit the time of each query in the block; a slower one raises ``OperationalError``.

    The limit applies to PostgreSQL, MariaDB, MySQL and SQLite, and not to other databases.
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
        # Also restores the setting inside a transaction that the caller has open.
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
    # SQLite calls the handler after this many instructions of its virtual machine.
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
