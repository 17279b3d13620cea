"""Run tasks through a real Celery worker and show what became of them.

`make demo` at the root of the project starts this in an environment of its own. It needs no server:
the messages to the worker are files in a folder, and the results are rows of a SQLite file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

HERE = Path(__file__).resolve().parent
WORKER_STARTS_WITHIN = 60  # seconds
TASKS_END_WITHIN = 60  # seconds
BAR = 20  # characters
LINE = 118  # characters
WIDTHS = (8, 28, 8, 14, 8, 40)  # characters
DIVIDED_BY_ZERO = "ZeroDivisionError('division by zero')"

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")

import django  # noqa: E402  the settings come first

django.setup()

from celery import chain, chord, group  # noqa: E402  as above
from django.core.management import call_command  # noqa: E402  as above

from demo_site import settings, tasks  # noqa: E402  as above
from django_celery_results import models  # noqa: E402  as above

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from celery.result import AsyncResult, GroupResult

WORKER_LOG = settings.DATA / "worker.log"


@dataclass(frozen=True)
class Expected:
    """A result on its way, and what it should come to."""

    label: str
    result: AsyncResult[Any]
    value: str
    state: str = "SUCCESS"


def main() -> int:
    """Run the demonstration; 0 when everything turned out as it should."""
    title("A database and a worker")
    prepare()
    with worker() as process:
        title("Tasks on their way")
        expected = send(process)
        watch(expected, process)
        problems = compare(expected)
    title("What TaskResult holds now")
    print_rows()
    title("The plugins at work")
    call_command("celery_results", "plugins")
    return conclude(problems)


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'─' * len(text)}", flush=True)


def prepare() -> None:
    """Migrate, and take away what an earlier run left."""
    call_command("migrate", verbosity=0)
    models.TaskResult.objects.all().delete()
    models.GroupResult.objects.all().delete()
    models.ChordCounter.objects.all().delete()
    for message in settings.MESSAGES.iterdir():
        message.unlink()
    print(f"SQLite      {settings.DATABASES['default']['NAME']}")
    print(f"messages    {settings.MESSAGES}")


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker with two processes, which ends with the block."""
    command = [sys.executable, "-m", "celery", "-A", "demo_site", "worker"]
    options = ["--pool=prefork", "--concurrency=2", "--loglevel=INFO", "--hostname=demo@localhost"]
    with WORKER_LOG.open("wb") as output:
        process = subprocess.Popen([*command, *options], cwd=HERE, stdout=output, stderr=output)
    print(f"worker      process {process.pid}, log in {WORKER_LOG}", flush=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
        print(f"\nWorker {process.pid} stopped.")


def send(process: subprocess.Popen[bytes]) -> list[Expected]:
    """Send the tasks; give each result with the state and the value it should come to."""
    first = tasks.add.delay(2, 3)
    wait_for_worker(first, process)
    several = cast("GroupResult", group(tasks.add.s(n, n) for n in range(3)).delay())
    several.save()
    chained = chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.s(100)).delay()
    summed = chord((tasks.add.s(n, 1) for n in range(5)), tasks.total.s()).delay()
    return [
        Expected("add(2, 3)", first, "5"),
        Expected(
            "a silent station, retried", tasks.read_station.delay("Harbour"), "'Harbour: 21 °C'"
        ),
        Expected("divide(1, 0)", tasks.divide.delay(1, 0), DIVIDED_BY_ZERO, "FAILURE"),
        *(Expected(f"group, part {n}", part, str(2 * n)) for n, part in enumerate(several)),
        Expected("chain, 1 + 2 + 10 + 100", chained, "113"),
        Expected("chord, a sum of sums", summed, "15"),
        Expected("bake(4), with progress", tasks.bake.delay(4), "'4 loaves'"),
    ]


def wait_for_worker(first: AsyncResult[Any], process: subprocess.Popen[bytes]) -> None:
    """Wait till the worker did its first task."""
    started = time.monotonic()
    while not first.ready():
        check_worker(process)
        if time.monotonic() - started > WORKER_STARTS_WITHIN:
            raise SystemExit("The worker did not start: see its log.")
        time.sleep(0.1)


def check_worker(process: subprocess.Popen[bytes]) -> None:
    """Give up when the worker is gone."""
    if process.poll() is not None:
        raise SystemExit(f"The worker ended with status {process.returncode}: see its log.")


def watch(expected: list[Expected], process: subprocess.Popen[bytes]) -> None:
    """Print each change of a result till all are there."""
    started = time.monotonic()
    seen: dict[str, str] = {}
    while time.monotonic() - started < TASKS_END_WITHIN:
        everything_is_there = all(one.result.ready() for one in expected)
        for one in expected:
            report(one, seen, time.monotonic() - started)
        if everything_is_there:
            return
        check_worker(process)
        time.sleep(0.1)


def report(one: Expected, seen: dict[str, str], seconds: float) -> None:
    """Print a line when the result is not what it was the last time."""
    state, info = str(one.result.state), one.result.info
    line = f"{state:<8} {progress(info) if state == 'BAKING' else told(state, info)}"
    if state == "PENDING" or seen.get(one.label) == line:
        return
    seen[one.label] = line
    print(f"{seconds:5.1f} s  {one.label:<26} {line}", flush=True)


def told(state: str, info: Any) -> str:
    """What a result says for itself; a started task says only which process has it."""
    return f"in process {info['pid']}" if state == "STARTED" else repr(info)


def progress(info: Mapping[str, int]) -> str:
    """A bar for a state such as `{"done": 1, "of": 4}`."""
    filled = BAR * info["done"] // info["of"]
    return f"{'█' * filled}{'░' * (BAR - filled)} {info['done']} of {info['of']}"


def compare(expected: list[Expected]) -> list[str]:
    """What did not turn out as expected, in words."""
    problems = []
    for one in expected:
        found = one.result.state, repr(one.result.result)
        if found != (one.state, one.value):
            problems.append(f"{one.label} should be {one.state} {one.value}: {' '.join(found)}")
    if "Retry in" not in WORKER_LOG.read_text(encoding="utf-8"):
        problems.append("no task was retried")
    return problems


def print_rows() -> None:
    """Print a line for each row, oldest first."""
    print_line("id", "task", "status", "worker", "took", "result")
    for row in models.TaskResult.objects.order_by("date_created", "pk"):
        print_line(
            row.task_id[:8],
            row.task_name or "",
            row.status,
            row.worker or "",
            duration(row),
            row.result or "",
        )


def duration(row: models.TaskResult) -> str:
    """From the start of the task to its end, in milliseconds."""
    if row.date_started is None or row.date_done is None:
        return ""
    return f"{(row.date_done - row.date_started).total_seconds() * 1000:.0f} ms"


def print_line(*cells: str) -> None:
    """Print the cells of a table in columns; what is too long for the last is cut."""
    columns = [f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)]
    print("  ".join(columns)[:LINE].rstrip())


def conclude(problems: list[str]) -> int:
    """Print the outcome and where to go from here; give the exit status."""
    for problem in problems:
        print(f"\nNot as expected: {problem}", file=sys.stderr)
    if problems:
        return 1
    print("\nEverything turned out as expected. To see it in the admin: make demo-admin")
    print("(user demo, password demo, http://127.0.0.1:8000/admin/)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
