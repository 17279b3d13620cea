"""One contender: a process that does a piece of work when asked, and says how long it took.

It runs in its own virtual environment, with this checkout or with 2.6.0. A line of standard
input, ``{"work": "store_new", "count": 200}``, is answered by one of standard output,
``{"seconds": 0.41}``. The first line of output says that it is ready.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

RESULT = {"value": 42, "text": "x" * 100, "list": list(range(10))}
ARGS, KWARGS = "(1, 2, 'three')", "{'key': 'value'}"


class Contender(Protocol):
    """What is compared."""

    def start(self, task_ids: list[str]) -> None:
        """Write STARTED rows, outside the measurement."""

    def store(self, task_id: str) -> None:
        """Write one SUCCESS."""

    def read(self, task_id: str) -> object:
        """Read one result."""

    def read_group(self, task_ids: list[str]) -> object:
        """Read the results of a finished group."""


class Backend:
    """Celery's own calls on the installed release's ``django-db``."""

    def __init__(self) -> None:
        from celery import Celery
        from celery.app.task import Context

        self.app = Celery("benchmark", broker="memory://", backend="django-db")
        self.app.conf.update(result_extended=True, result_cache_max=-1)
        self.backend = self.app.backend
        self.request = Context(
            {
                "task": "benchmarks.tasks.add",
                "hostname": "worker1@example",
                "argsrepr": ARGS,
                "kwargsrepr": KWARGS,
                "delivery_info": {},
            }
        )

    def start(self, task_ids: list[str]) -> None:
        for task_id in task_ids:
            self.backend.store_result(task_id, {"pid": 1}, "STARTED", request=self.request)

    def store(self, task_id: str) -> None:
        self.backend.store_result(task_id, RESULT, "SUCCESS", request=self.request)

    def read(self, task_id: str) -> object:
        return self.backend.get_task_meta(task_id, cache=False)["result"]

    def read_group(self, task_ids: list[str]) -> object:
        results = [self.app.AsyncResult(task_id) for task_id in task_ids]
        return self.app.GroupResult("group", results).get()


class Floor:
    """The same through the bare driver: one upsert, one select, on the same table."""

    COLUMNS = (
        "task_id", "status", "content_type", "content_encoding", "result", "meta", "task_name",
        "task_args", "task_kwargs", "worker", "date_created", "date_done",
    )  # fmt: skip

    def __init__(self, engine: str) -> None:
        from django.db import connection

        connection.ensure_connection()
        self.driver: Any = connection.connection
        if engine == "sqlite":
            self.driver.isolation_level = None
        mark, now = {
            "sqlite": ("?", "CURRENT_TIMESTAMP"),
            "postgresql": ("%s", "now()"),
            "mariadb": ("%s", "now(6)"),
        }[engine]
        values = ", ".join([*[mark] * 10, now, now])
        updates = [name for name in self.COLUMNS if name not in ("task_id", "date_created")]
        if engine == "mariadb":
            tail = "ON DUPLICATE KEY UPDATE " + ", ".join(f"{c} = VALUES({c})" for c in updates)
        else:
            tail = "ON CONFLICT (task_id) DO UPDATE SET " + ", ".join(
                f"{c} = excluded.{c}" for c in updates
            )
        table = "django_celery_results_taskresult"
        self.upsert = f"INSERT INTO {table} ({', '.join(self.COLUMNS)}) VALUES ({values}) {tail}"
        self.select = f"SELECT {', '.join(self.COLUMNS)} FROM {table} WHERE task_id "
        self.mark = mark

    def _write(self, task_id: str, status: str, result: object) -> None:
        row = (
            task_id, status, "application/json", "utf-8", json.dumps(result),
            '{"children": []}', "benchmarks.tasks.add", json.dumps(ARGS), json.dumps(KWARGS),
            "worker1@example",
        )  # fmt: skip
        self.driver.cursor().execute(self.upsert, row)

    def start(self, task_ids: list[str]) -> None:
        for task_id in task_ids:
            self._write(task_id, "STARTED", {"pid": 1})

    def store(self, task_id: str) -> None:
        self._write(task_id, "SUCCESS", RESULT)

    def read(self, task_id: str) -> object:
        cursor = self.driver.cursor()
        cursor.execute(f"{self.select} = {self.mark}", (task_id,))
        return json.loads(cursor.fetchone()[4])

    def read_group(self, task_ids: list[str]) -> object:
        cursor = self.driver.cursor()
        marks = ", ".join([self.mark] * len(task_ids))
        cursor.execute(f"{self.select} IN ({marks})", task_ids)
        return [json.loads(row[4]) for row in cursor.fetchall()]


def measure(contender: Contender, work: str, count: int) -> float:
    """Do ``work`` on ``count`` tasks and return the seconds that it took."""
    task_ids = [str(uuid4()) for _ in range(count)]
    if work == "store_existing":
        contender.start(task_ids)
    if work in ("read_one", "read_group"):
        for task_id in task_ids:
            contender.store(task_id)
    started = time.perf_counter()
    if work == "read_group":
        contender.read_group(task_ids)
    else:
        act = contender.read if work == "read_one" else contender.store
        for task_id in task_ids:
            act(task_id)
    return time.perf_counter() - started


def set_up(database: dict[str, Any]) -> None:
    """Configure Django on ``database`` and migrate it."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["django_celery_results"],
        USE_TZ=True,
        SECRET_KEY="benchmark",
    )
    django.setup()
    call_command("migrate", verbosity=0)


def main() -> None:
    """Answer requests until standard input ends."""
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from benchmarks import database as databases

    kind, engine, name, directory = sys.argv[1:]
    options = databases.settings_for(engine, name, Path(directory))
    databases.recreate(options)
    set_up(options)
    contender = Floor(engine) if kind == "floor" else Backend()
    print(json.dumps({"ready": kind}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        seconds = measure(contender, request["work"], request["count"])
        print(json.dumps({"seconds": seconds}), flush=True)
    from django.db import connection

    connection.close()
    databases.drop(options)


if __name__ == "__main__":
    main()
