"""Ending database connections on the server, as an administrator or a failing network does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections

from tests import settings as test_settings

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

SERVER = pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no server")


def number_of(victim: BaseDatabaseWrapper) -> int:
    """Return the number that the server gave to the connection."""
    with victim.cursor() as cursor:
        sql = "SELECT connection_id()" if victim.vendor == "mysql" else "SELECT pg_backend_pid()"
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def end(number: int) -> None:
    """End a connection on the server."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute(f"KILL {number}")
        else:
            cursor.execute("SELECT pg_terminate_backend(%s)", [number])


def elsewhere(work: Any, *arguments: Any) -> threading.Thread:
    """Start ``work`` in another thread, with its own connections; return the thread."""

    def run() -> None:
        try:
            work(*arguments)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def kill(victim: BaseDatabaseWrapper) -> None:
    """End the connection on the server, through another one."""
    elsewhere(end, number_of(victim)).join()


def kill_number(number: int) -> None:
    """End the connection with that number, through ``secondary``, which does not use a pool."""
    with connections["secondary"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [number])


def notes_of(error: BaseException) -> list[str]:
    """Return the notes on the error."""
    return list(getattr(error, "__notes__", ()))
