"""The floor: the fewest statements that do the same, by the bare driver on the same tables.

It serializes the same values, because every way to store them has to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from . import sample
from .celery_backends import LONG_AGO, fill_table

if TYPE_CHECKING:
    from .statements import Statements

__all__ = ["Floor"]

TABLE, COUNTERS = "django_celery_results_taskresult", "django_celery_results_chordcounter"
COLUMNS = (
    "task_id", "status", "content_type", "content_encoding", "result", "meta", "task_name",
    "task_args", "task_kwargs", "worker", "date_created", "date_done",
)  # fmt: skip
#: The placeholder in a statement, and the database's current time.
DIALECTS = {
    "sqlite": ("?", "CURRENT_TIMESTAMP"),
    "postgresql": ("%s", "now()"),
    "mariadb": ("%s", "now(6)"),
}


class Floor:
    """Runs one statement for each piece of work."""

    works = frozenset({"chord_part", "expire"})

    def __init__(self, engine: str) -> None:
        from django.db import connection

        connection.ensure_connection()
        self.driver: Any = connection.connection
        mark, now = DIALECTS[engine]
        values = ", ".join([*[mark] * 10, now, now])
        insert = f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({values})"
        self.upsert = f"{insert} {_on_conflict(engine)}"
        self.select = f"SELECT {', '.join(COLUMNS)} FROM {TABLE} WHERE task_id "
        self.count = f"UPDATE {COUNTERS} SET count = count - 1 WHERE group_id = {mark}"
        self.delete = f"DELETE FROM {TABLE} WHERE date_done < {mark}"
        self.mark = mark

    def _execute(self, statement: str, values: Any) -> Any:
        cursor = self.driver.cursor()
        cursor.execute(statement, values)
        return cursor

    def _write(self, task_id: str, status: str, result: object) -> None:
        row = (
            task_id, status, "application/json", "utf-8", json.dumps(result),
            json.dumps({"children": []}), sample.NAME, json.dumps(sample.ARGS),
            json.dumps(sample.KWARGS), sample.WORKER,
        )  # fmt: skip
        self._execute(self.upsert, row)

    def start(self, task_ids: list[str]) -> None:
        """Write rows with the state STARTED."""
        for task_id in task_ids:
            self._write(task_id, "STARTED", {"pid": 1})

    def store(self, task_id: str, result: object = sample.RESULT) -> None:
        """Write one SUCCESS with an upsert."""
        self._write(task_id, "SUCCESS", result)

    def read(self, task_id: str) -> object:
        """Read one result with a select."""
        row = self._execute(f"{self.select} = {self.mark}", (task_id,)).fetchone()
        return json.loads(row[4])

    def read_group(self, task_ids: list[str]) -> object:
        """Read the results of a group with one select."""
        marks = ", ".join([self.mark] * len(task_ids))
        rows = self._execute(f"{self.select} IN ({marks})", task_ids).fetchall()
        return [json.loads(row[4]) for row in rows]

    def open_chord(self, task_ids: list[str]) -> list[Any]:
        """Insert a counter; return the ids of the task and group of each part."""
        from django_celery_results.models import ChordCounter

        group_id = str(uuid4())
        ChordCounter.objects.create(group_id=group_id, sub_tasks="[]", count=len(task_ids))
        return [(task_id, group_id) for task_id in task_ids]

    def return_part(self, part: tuple[str, str]) -> None:
        """Store a part and count it, with an upsert and an update."""
        task_id, group_id = part
        self.store(task_id)
        self._execute(self.count, (group_id,))

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""
        fill_table(count, datetime.now(timezone.utc) - LONG_AGO)

    def expire(self) -> None:
        """Delete the expired rows with one statement."""
        limit = datetime.now(timezone.utc) - timedelta(days=1)
        self._execute(self.delete, (limit.strftime("%Y-%m-%d %H:%M:%S"),))

    @contextmanager
    def watched(self) -> Iterator[Statements | None]:
        """Count nothing: the statements are known."""
        yield None

    def close(self) -> None:
        """Do nothing: only the database is left."""


def _on_conflict(engine: str) -> str:
    updates = [name for name in COLUMNS if name not in {"task_id", "date_created"}]
    if engine == "mariadb":
        return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{c} = VALUES({c})" for c in updates)
    assignments = ", ".join(f"{c} = excluded.{c}" for c in updates)
    return f"ON CONFLICT (task_id) DO UPDATE SET {assignments}"
