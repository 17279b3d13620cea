"""Tasks and groups in the file; chords are in :mod:`mystore.chords`."""

from __future__ import annotations

import pickle
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from django_celery_results.records import Expiry, ExpiryBatch, StoredGroup, StoredTask

SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks
    (id TEXT PRIMARY KEY, status TEXT NOT NULL, written REAL NOT NULL, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS chords
    (id TEXT PRIMARY KEY, size INTEGER NOT NULL, results BLOB NOT NULL, claimed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS parts
    (chord TEXT NOT NULL, task TEXT NOT NULL, record BLOB NOT NULL, PRIMARY KEY (chord, task));
"""

# In one statement, so that no other worker can write between the check and the write.
STORE = """
INSERT INTO tasks VALUES (:id, :status, :written, :record) ON CONFLICT (id) DO UPDATE
    SET status = :status, written = :written, record = :record
    WHERE tasks.status != 'SUCCESS' AND NOT :only_if_absent
"""


class Store:
    """One file. It is opened again for each transaction, so that forks and threads are safe."""

    def __init__(self, path: str) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection in a transaction that holds the write lock."""
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def store_task(self, task: StoredTask) -> bool:
        """Write a task; return whether it was written."""
        values = {
            "id": task.task_id,
            "status": task.status,
            "only_if_absent": task.only_if_absent,
            "written": time.time(),
            "record": pickle.dumps(task),
        }
        with self.transaction() as connection:
            return connection.execute(STORE, values).rowcount > 0

    def load_tasks(self, task_ids: Sequence[str]) -> list[StoredTask]:
        """Read the tasks that exist."""
        query = f"SELECT record FROM tasks WHERE id IN ({marks(task_ids)})"
        with self.transaction() as connection:
            return [pickle.loads(row[0]) for row in connection.execute(query, task_ids)]

    def save_group(self, group: StoredGroup) -> bool:
        """Write a group and replace any with the same id."""
        values = (group.group_id, pickle.dumps(group))
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO groups VALUES (?, ?)", values)
        return True

    def load_group(self, group_id: str) -> StoredGroup | None:
        """Read a group."""
        query = "SELECT record FROM groups WHERE id = ?"
        with self.transaction() as connection:
            row = connection.execute(query, [group_id]).fetchone()
        group: StoredGroup | None = pickle.loads(row[0]) if row else None
        return group

    def delete(self, table: str, ids: Sequence[str]) -> int:
        """Delete rows by id; return how many there were."""
        with self.transaction() as connection:
            statement = f"DELETE FROM {table} WHERE id IN ({marks(ids)})"
            return connection.execute(statement, ids).rowcount

    def expire(self, expiry: Expiry) -> int:
        """Delete the tasks that were written too long ago; return how many."""
        deleted = 0
        for batch in self._expired(expiry):
            if expiry.before is None or expiry.before(batch):
                deleted += self.delete("tasks", batch.ids)
                if expiry.after is not None:
                    expiry.after(batch)
        return deleted

    def _expired(self, expiry: Expiry) -> Iterator[ExpiryBatch]:
        if expiry.expires is None:
            return
        query = "SELECT id FROM tasks WHERE written < ? ORDER BY written"
        with self.transaction() as connection:
            ids = [row[0] for row in connection.execute(query, [time.time() - expiry.expires])]
        for start in range(0, len(ids), expiry.batch_size):
            chunk = ids[start : start + expiry.batch_size]
            yield ExpiryBatch(
                storage="mystore", kind="task", ids=chunk, records=self.load_tasks(chunk)
            )


def marks(values: Sequence[Any]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("?" for _ in values)
