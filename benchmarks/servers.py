"""The servers of the benchmark: settings for each contender; databases created and dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = [
    "DURABLE",
    "REDIS_URL",
    "drop",
    "durable",
    "largest_statement",
    "recreate",
    "relaxed",
    "settings_for",
    "sqlalchemy_url",
    "version",
]

MARIADB_COMMITS = "innodb_flush_log_at_trx_commit"
#: The environment variable that tells every process: see ``--durable``.
DURABLE = "BENCHMARK_DURABLE"
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")


def settings_for(engine: str, name: str, directory: Path) -> dict[str, Any]:
    """Return the entry of DATABASES for the database ``name`` on ``engine``."""
    if engine == "sqlite":
        path = str(directory / f"{name}.sqlite3")
        # Two processes of a worker take turns to write to it.
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": path,
            "OPTIONS": {"timeout": 30},
            "CONN_MAX_AGE": None,
        }
    prefix, port, user = {
        "postgresql": ("POSTGRES", "5432", "postgres"),
        "mariadb": ("MARIADB", "3306", "root"),
    }[engine]
    return {
        "ENGINE": f"django.db.backends.{'postgresql' if engine == 'postgresql' else 'mysql'}",
        "NAME": name,
        "HOST": os.environ.get(f"{prefix}_HOST", "127.0.0.1"),
        "PORT": int(os.environ.get(f"{prefix}_PORT", port)),
        "USER": os.environ.get(f"{prefix}_USER", user),
        "PASSWORD": os.environ.get(f"{prefix}_PASSWORD", ""),
        # Each contender keeps its connection open, as a worker does.
        "CONN_MAX_AGE": None,
    }


def sqlalchemy_url(database: dict[str, Any]) -> str:
    """Return the URL of Celery's ``db+`` backend for an entry of DATABASES."""
    if "sqlite" in database["ENGINE"]:
        return f"db+sqlite:///{database['NAME']}?timeout=30"
    scheme = "postgresql+psycopg" if "postgresql" in database["ENGINE"] else "mysql+mysqldb"
    login = f"{quote(database['USER'])}:{quote(database['PASSWORD'])}"
    return f"db+{scheme}://{login}@{database['HOST']}:{database['PORT']}/{database['NAME']}"


def version(engine: str) -> str:
    """Return the version of the server behind Django's default connection."""
    from django.db import connection

    question = "SELECT sqlite_version()" if engine == "sqlite" else "SELECT version()"
    with connection.cursor() as cursor:
        cursor.execute(question)
        answer = str(cursor.fetchone()[0])
    # The rest of PostgreSQL's text says how it was compiled.
    return answer.removeprefix("PostgreSQL ").split(" ")[0]


def largest_statement(engine: str) -> float:
    """Return the bytes that the server accepts in one statement: a setting of MariaDB."""
    from django.db import connection

    if engine != "mariadb":
        return inf
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        return float(cursor.fetchone()[0])


def durable() -> bool:
    """Return whether commits wait for the disk, which is the servers' default."""
    return DURABLE in os.environ


def recreate(database: dict[str, Any]) -> None:
    """Create the database again, empty, with commits that do not wait for the disk.

    The time to sync a disk differs between machines and hides all other times. Commits wait
    only if :func:`durable` says that this is to be measured too.
    """
    drop(database)
    if "sqlite" not in database["ENGINE"]:
        _execute(database, f"CREATE DATABASE {database['NAME']}")
    if "postgresql" in database["ENGINE"] and not durable():
        _execute(database, f"ALTER DATABASE {database['NAME']} SET synchronous_commit = off")


def drop(database: dict[str, Any]) -> None:
    """Drop the database if it exists."""
    if "sqlite" in database["ENGINE"]:
        Path(database["NAME"]).unlink(missing_ok=True)
    elif "postgresql" in database["ENGINE"]:
        # A contender that was killed may have left a connection.
        _execute(database, f"DROP DATABASE IF EXISTS {database['NAME']} WITH (FORCE)")
    else:
        _execute(database, f"DROP DATABASE IF EXISTS {database['NAME']}")


@contextmanager
def relaxed(database: dict[str, Any]) -> Iterator[None]:
    """Keep MariaDB's commits from waiting for the disk during the block: see :func:`recreate`.

    It is a setting of the whole server; on the other databases it is set for one database.
    """
    if "mysql" not in database["ENGINE"]:
        yield
        return
    with _mariadb(database) as cursor:
        cursor.execute(f"SELECT @@GLOBAL.{MARIADB_COMMITS}")
        before = cursor.fetchone()[0]
        cursor.execute(f"SET GLOBAL {MARIADB_COMMITS} = 2")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL {MARIADB_COMMITS} = {before}")


def _execute(database: dict[str, Any], statement: str) -> None:
    if "postgresql" in database["ENGINE"]:
        import psycopg

        with psycopg.connect(
            host=database["HOST"],
            port=database["PORT"],
            user=database["USER"],
            password=database["PASSWORD"] or None,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute(statement.encode())
        return
    with _mariadb(database) as cursor:
        cursor.execute(statement)


@contextmanager
def _mariadb(database: dict[str, Any]) -> Iterator[Any]:
    import MySQLdb

    server: Any = MySQLdb.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
    )
    yield server.cursor()
    server.close()
