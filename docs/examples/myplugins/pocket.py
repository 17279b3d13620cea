"""A storage: pickled results in a SQLite file."""

import pickle
import sqlite3
from contextlib import closing

from django_celery_results import hookimpl

django_celery_results_name = "pocket"
UPSERT = """INSERT INTO task VALUES (?,?,?) ON CONFLICT (id) DO UPDATE SET status = excluded.status,
    task = merge(task, excluded.task) WHERE status <> 'SUCCESS' AND NOT ? RETURNING id"""


def merge(old, new):
    return pickle.dumps(pickle.loads(new).with_known(pickle.loads(old)))


def execute(file, statement, *values):
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.create_function("merge", 2, merge)
        return connection.execute(statement, values).fetchall()


@hookimpl
def open_storage(location):
    execute(f"/{location.path}", "CREATE TABLE IF NOT EXISTS task (id PRIMARY KEY, status, task)")
    return f"/{location.path}"


@hookimpl
def store_task(storage, task):
    row = (task.task_id, task.status, pickle.dumps(task))
    return bool(execute(storage, UPSERT, *row, task.only_if_absent))


@hookimpl
def load_tasks(storage, task_ids):
    rows = [execute(storage, "SELECT task FROM task WHERE id = ?", one) for one in task_ids]
    return [pickle.loads(task) for ((task,),) in filter(None, rows)]


@hookimpl
def forget_task(storage, task_id):
    return bool(execute(storage, "DELETE FROM task WHERE id = ? RETURNING id", task_id))
