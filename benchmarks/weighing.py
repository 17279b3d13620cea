"""The bytes that results take: in the table, and in files."""

from __future__ import annotations

from collections.abc import Mapping

from . import plugged

__all__ = ["analyze", "empty_tables", "weights"]

TABLE = "django_celery_results_taskresult"
#: The bytes of the table, its indexes and the values stored outside its rows. SQLite has one
#: file for all tables; meanwhile, only this table grows.
QUESTIONS = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgresql": f"SELECT pg_total_relation_size('{TABLE}')",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables "
    f"WHERE table_schema = database() AND table_name = '{TABLE}'",
}


def empty_tables() -> None:
    """Delete all rows."""
    from django.core.management import call_command

    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


def analyze() -> None:
    """Refresh the database's statistics, for its plans, and on MariaDB for the table's size."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {'TABLE ' * (connection.vendor == 'mysql')}{TABLE}")
        cursor.fetchall() if cursor.description else None


def weights(contender: Mapping[str, str]) -> dict[str, int]:
    """Return the current bytes of the table and of the contender's blobs."""
    from django.db import connection

    analyze()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("VACUUM")
        cursor.execute(QUESTIONS[connection.vendor])
        table = int(cursor.fetchone()[0])
    blobs = plugged.folder(contender, "blobs").rglob("*")
    return {"table": table, "blobs": sum(one.stat().st_size for one in blobs if one.is_file())}
