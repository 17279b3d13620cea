"""The databases of the benchmark: Django's settings for them, and making them anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["drop", "recreate", "settings_for"]


def settings_for(engine: str, name: str, directory: Path) -> dict[str, Any]:
    """Return the entry of DATABASES for the database ``name`` on ``engine``."""
    if engine == "sqlite":
        path = str(directory / f"{name}.sqlite3")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
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
        # A worker keeps its connection; so does each contender.
        "CONN_MAX_AGE": None,
    }


def recreate(database: dict[str, Any]) -> None:
    """Make the database anew, empty."""
    drop(database)
    if "sqlite" not in database["ENGINE"]:
        _execute(database, f"CREATE DATABASE {database['NAME']}")


def drop(database: dict[str, Any]) -> None:
    """Drop the database if it is there."""
    if "sqlite" in database["ENGINE"]:
        Path(database["NAME"]).unlink(missing_ok=True)
    else:
        _execute(database, f"DROP DATABASE IF EXISTS {database['NAME']}")


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
    import MySQLdb

    server: Any = MySQLdb.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
    )
    server.cursor().execute(statement)
    server.close()
