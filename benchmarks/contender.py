"""One contender: a process that does a piece of work on request and reports figures.

It runs in its own virtual environment. For each line of standard input, such as
``{"do": "measure", "work": "store_new", "count": 50}``, it prints one line,
``{"seconds": 0.02}``. The first line that it prints describes the contender.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from . import plugged, servers, weighing
from .celery_backends import DjangoBackend, PluggedBackend, RedisBackend, SQLAlchemyBackend
from .floor import Floor
from .site import CONTENDER
from .work import WORKS, Contender

PACKAGES = ("celery", "Django", "django-celery-results", "redis", "SQLAlchemy", "psycopg",
            "mysqlclient", "cryptography", "msgspec", "prometheus-client", "zstandard")  # fmt: skip
STORES_AND_READS = ("store_new", "store_existing", "read_one", "read_group")


class Worker:
    """Does pieces of work with one contender."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        self.prepared: dict[tuple[str, int], Any] = {}

    def prepare(self, work: str, count: int) -> Any:
        """Return the prepared input of ``work``, made now or in an earlier round."""
        if not WORKS[work].once:
            return WORKS[work].prepare(self.contender, count)
        if (work, count) not in self.prepared:
            self.prepared[work, count] = WORKS[work].prepare(self.contender, count)
        return self.prepared[work, count]

    def measure(self, work: str, count: int) -> dict[str, Any]:
        """Return the seconds that ``work`` takes for ``count`` tasks."""
        prepared = self.prepare(work, count)
        gc.collect()
        started = time.perf_counter()
        WORKS[work].act(self.contender, prepared)
        return {"seconds": time.perf_counter() - started}

    def probe(self, work: str, count: int) -> dict[str, Any]:
        """Return the exact figures: statements, longest one in seconds, and peak memory in MB."""
        prepared = self.prepare(work, count)
        if work == "chord_part":
            # An ordinary part is counted; the last one also finishes the chord.
            prepared, count = prepared[:-1], count - 1
        gc.collect()
        forget_peak()
        with self.contender.watched() as statements:
            WORKS[work].act(self.contender, prepared)
        seen: dict[str, Any] = {"peak": peak(), "tasks": count}
        if statements is not None:
            seen.update(statements=statements.count, longest=statements.longest)
        return seen

    def weigh(self, work: str, count: int) -> dict[str, int]:
        """Return the bytes that ``work`` adds to the empty tables, and to the plugins' files."""
        weighing.empty_tables()
        self.prepared.clear()
        before = weighing.weights(CONTENDER)
        WORKS[work].act(self.contender, self.prepare(work, count))
        return {what: size - before[what] for what, size in weighing.weights(CONTENDER).items()}

    def profile(self, work: str, count: int) -> dict[str, Any]:
        """Print where ``work`` spends its time, to standard error."""
        import cProfile
        import pstats

        self.measure(work, count)
        prepared = self.prepare(work, count)
        profiler = cProfile.Profile()
        profiler.runcall(WORKS[work].act, self.contender, prepared)
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
        return {}


def forget_peak() -> None:
    """Reset the peak of memory, if the system can (Linux)."""
    control = Path("/proc/self/clear_refs")
    if control.exists():
        control.write_text("5", encoding="ascii")


def peak() -> float | None:
    """Return the peak of resident memory in MB, if the system reports it (Linux)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def make_contender(kind: str) -> Contender:
    """Return the contender that the parent process asked for, with its tables created."""
    database = settings.DATABASES["default"]
    if kind == "redis":
        return RedisBackend(CONTENDER["name"])
    if kind == "db+":
        return SQLAlchemyBackend(database)
    call_command("migrate", verbosity=0)
    if kind in plugged.KINDS:
        return PluggedBackend(kind, CONTENDER["engine"])
    return Floor(CONTENDER["engine"]) if kind == "floor" else DjangoBackend()


def introduction(contender: Contender) -> dict[str, Any]:
    """Return the pieces of work that the contender can do, and the versions of its packages."""
    found = {name.lower(): _version(name) for name in PACKAGES}
    return {
        "works": [work for work in WORKS if work in {*STORES_AND_READS, *contender.works}],
        "versions": {name: number for name, number in found.items() if number},
        "server": servers.version(CONTENDER["engine"]),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None


def main() -> None:
    """Create the database, answer the parent process, then drop the database."""
    database = settings.DATABASES["default"]
    servers.recreate(database)
    try:
        work_for_parent()
    finally:
        connection.close()
        servers.drop(database)


def work_for_parent() -> None:
    """Answer requests until standard input ends."""
    django.setup()
    worker = Worker(make_contender(CONTENDER["kind"]))
    print(json.dumps(introduction(worker.contender)), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        act = getattr(worker, request.pop("do"))
        print(json.dumps(act(**request)), flush=True)
    worker.contender.close()


if __name__ == "__main__":
    main()
