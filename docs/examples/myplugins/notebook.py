"""A complete storage in one module: results in a SQLite file, without Django's ORM."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.records import Contents, StoredTask

#: The plugin's name is the scheme of its URLs.
django_celery_results_name = "notebook"

FIELDS = ("result", "traceback", "meta", "args", "kwargs")
TABLE = """
    CREATE TABLE IF NOT EXISTS task (
        task_id TEXT PRIMARY KEY, status TEXT, name TEXT, date_done TEXT,
        fields TEXT, content_type TEXT, content_encoding TEXT
    )
"""
# SUCCESS is final and an empty PENDING overwrites nothing. The rule is part of the statement,
# so it also holds when two workers write at the same time.
UPSERT = """
    INSERT INTO task VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (task_id) DO UPDATE SET
        status = excluded.status, name = coalesce(excluded.name, name),
        date_done = excluded.date_done,
        fields = CASE WHEN (content_type, content_encoding)
                = (excluded.content_type, excluded.content_encoding)
            THEN json_patch(fields, excluded.fields) ELSE excluded.fields END,
        content_type = excluded.content_type, content_encoding = excluded.content_encoding
    WHERE status <> 'SUCCESS' AND NOT ?
"""


class Notebook:
    """The file that a URL such as ``notebook:///var/lib/site/results.sqlite3`` names."""

    def __init__(self, path):
        self.path = path
        self.execute(TABLE)

    def execute(self, statement, values=()):
        """Return the rows that a statement selects, and the number of rows that it changed."""
        # Each call opens a connection, so threads and forked workers never share one.
        with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall(), cursor.rowcount


@hookimpl
def open_storage(location):
    """Return the notebook at the URL's path."""
    path = Path("/", location.path)
    if not location.path or not path.parent.is_dir():
        raise BackendMisconfigured(
            f"The notebook's URL names {path}, which is not a file in an existing directory; "
            f"give an absolute path, as in notebook:///var/lib/site/results.sqlite3"
        )
    return Notebook(path)


@hookimpl
def store_task(storage, task):
    """Write the task; SQLite has saved it to disk when this returns."""
    contents = task.contents
    fields = dict(contents.fields)
    # A state without arguments keeps those of an earlier state that was encoded alike.
    for name in ("args", "kwargs"):
        if fields.get(name) is None:
            fields.pop(name, None)
    row = (
        task.task_id,
        task.status,
        task.name,
        task.date_done and task.date_done.isoformat(),
        json.dumps(fields),
        contents.content_type,
        contents.content_encoding,
    )
    _, written = storage.execute(UPSERT, (*row, task.only_if_absent))
    return written > 0


@hookimpl
def load_tasks(storage, task_ids):
    """Return the stored tasks; unknown ids are left out."""
    one_of = ", ".join("?" * len(task_ids))
    rows, _ = storage.execute(f"SELECT * FROM task WHERE task_id IN ({one_of})", list(task_ids))
    return [_task(*row) for row in rows]


@hookimpl
def forget_task(storage, task_id):
    """Delete the task; return whether it was stored."""
    _, deleted = storage.execute("DELETE FROM task WHERE task_id = ?", [task_id])
    return deleted > 0


@hookimpl
def can_retry(error):
    """Return True if the file was locked for too long."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _task(task_id, status, name, date_done, fields, content_type, content_encoding):
    return StoredTask(
        task_id=task_id,
        status=status,
        name=name,
        date_done=date_done and datetime.fromisoformat(date_done),
        contents=Contents(
            fields={**dict.fromkeys(FIELDS), **json.loads(fields)},
            content_type=content_type,
            content_encoding=content_encoding,
        ),
    )
