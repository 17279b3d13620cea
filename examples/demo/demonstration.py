"""Send tasks to the worker, and show what became of them."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from celery import chain, chord, group
from celery.result import AsyncResult, GroupResult
from django.core.management import call_command

from demo_site import settings, tasks
from django_celery_results import models
from screen import (
    call_text,
    progress_bar,
    screen_width,
    shorten,
    table,
    time_text,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery.result import ResultBase

    from worker import Worker

WORKER_STARTS_WITHIN = 60  # seconds
TASKS_END_WITHIN = 60  # seconds
DIVIDED_BY_ZERO = "ZeroDivisionError: division by zero"
#: What the built-in plugins do; of another plugin the hooks are shown.
PLUGINS = {
    "codec": "encodes and decodes results",
    "django-cache": "stores results in a cache",
    "django-db": "stores results in the database",
}


@dataclass(frozen=True)
class Sent:
    """A task that was sent, and the result that it should have."""

    example: str
    call: str
    result: AsyncResult[Any]
    value: str
    state: str = "SUCCESS"

    def now(self) -> tuple[str, Any]:
        """Return the state, and with it the value, exception or progress, in one read."""
        meta = self.result.backend.get_task_meta(self.result.id)
        return meta["status"], meta["result"]


def run(worker: Worker) -> int:
    """Run the demonstration; return 0 when every task ended as it should."""
    title("Setting up")
    prepare(worker)
    with worker:
        sent = send(worker)
        title("Tasks as they run")
        watch(sent, worker)
        problems = compare(sent, worker)
    title("What became of the tasks")
    print_tasks(sent)
    title("The plugins at work")
    print_plugins()
    return conclude(problems, worker)


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'─' * len(text)}", flush=True)


def prepare(worker: Worker) -> None:
    """Migrate the database, and delete what an earlier run left."""
    print(f"Database  {os.path.relpath(settings.DATABASE)}")
    print(f"Messages  {os.path.relpath(settings.MESSAGES)} (files: no broker to install)")
    print(f"Worker    two processes, log in {os.path.relpath(worker.log)}", flush=True)
    call_command("migrate", verbosity=0)
    models.TaskResult.objects.all().delete()
    models.GroupResult.objects.all().delete()
    models.ChordCounter.objects.all().delete()
    for message in settings.MESSAGES.iterdir():
        message.unlink()


def send(worker: Worker) -> list[Sent]:
    """Send the tasks, the first one before the others to learn when the worker is ready."""
    print("\nStarting the worker …", flush=True)
    first = tasks.add.delay(2, 3)
    if not worker.wait_until(first.ready, WORKER_STARTS_WITHIN):
        worker.give_up(f"The worker did no task within {WORKER_STARTS_WITHIN} seconds.")
    several = cast("GroupResult", group(tasks.add.s(n, n) for n in range(3)).delay())
    several.save()
    chained = chain(tasks.add.s(1, 2), tasks.add.s(10), tasks.add.s(100)).delay()
    summed = chord((tasks.add.s(n, 1) for n in range(5)), tasks.total.s()).delay()
    harbour = tasks.read_station.delay("Harbour")
    return [
        Sent("one task", "add(2, 3)", first, "5"),
        Sent("retry", "read_station('Harbour')", harbour, "Harbour: 21 °C"),
        Sent("failure", "divide(1, 0)", tasks.divide.delay(1, 0), DIVIDED_BY_ZERO, "FAILURE"),
        *(Sent("group", f"add({n}, {n})", part, str(2 * n)) for n, part in enumerate(several)),
        Sent("chain", "1 + 2 + 10 + 100", chained, "113"),
        Sent("chord", "total of five sums", summed, "15"),
        Sent("progress", "bake(4)", tasks.bake.delay(4), "4 loaves"),
    ]


def watch(sent: list[Sent], worker: Worker) -> None:
    """Print each change of a result until all tasks have ended."""
    started = time.monotonic()
    seen: dict[str, str] = {}

    def all_ended() -> bool:
        ended = all(one.result.ready() for one in sent)
        for one in sent:
            report(one, seen, time.monotonic() - started)
        return ended

    worker.wait_until(all_ended, TASKS_END_WITHIN)


def report(one: Sent, seen: dict[str, str], seconds: float) -> None:
    """Print a line if the result has changed since the last time."""
    state, info = one.now()
    line = f"{state:<8} {info_text(state, info)}"
    if state == "PENDING" or seen.get(one.result.id) == line:
        return
    seen[one.result.id] = line
    text = f"{seconds:4.1f} s  {one.example:<8}  {one.call:<23}  {line}"
    print(shorten(text, screen_width()), flush=True)


def info_text(state: str, info: Any) -> str:
    """Return what a result says in ``state``."""
    if state == "STARTED":
        return f"in process {info['pid']}"
    return progress_bar(info) if state == "BAKING" else value_text(info)


def compare(sent: list[Sent], worker: Worker) -> list[str]:
    """Return a sentence for each result that is not as it should be."""
    problems = []
    for one in sent:
        state, value = one.now()
        if (state, value_text(value)) != (one.state, one.value):
            problems.append(
                f"{one.call} ({one.example}) should end with {one.state} {one.value}, "
                f"not {state} {value_text(value)}"
            )
    if "Retry in" not in worker.log.read_text(encoding="utf-8"):
        problems.append("read_station('Harbour') was not retried")
    return problems


def print_tasks(sent: list[Sent]) -> None:
    """Print a line for each row of `TaskResult`, in the order of the examples."""
    ids = [(one.example, task_id) for one in sent for task_id in task_ids(one.result)]
    rows = models.TaskResult.objects.in_bulk([one for _, one in ids], field_name="task_id")
    lines = []
    earlier = ""
    for example, task_id in ids:
        row = rows.get(task_id)
        if row is not None:
            lines.append((example if example != earlier else "", *row_cells(row)))
        earlier = example
    print_table(("EXAMPLE", "TASK", "STATE", "  TOOK", "RESULT"), lines)
    print(f"\n{len(rows)} rows of TaskResult, stored by the plugin django-db.")


def task_ids(result: ResultBase) -> Iterator[str]:
    """Yield the ids of the tasks that ``result`` came of, and then its own."""
    if result.parent is not None:
        yield from task_ids(result.parent)
    if isinstance(result, GroupResult):
        for part in result:
            yield part.id
    elif isinstance(result, AsyncResult):
        yield result.id


def row_cells(row: models.TaskResult) -> tuple[str, str, str, str]:
    """Return the call, state, time and value of the task in ``row``."""
    result = AsyncResult[Any](row.task_id)
    call = call_text(str(result.name), str(result.args))
    return call, row.status, time_text(seconds_taken(row)), value_text(result.result)


def seconds_taken(row: models.TaskResult) -> float | None:
    """Return the time from the last start of the task to its end."""
    if row.date_started is None or row.date_done is None:
        return None
    return (row.date_done - row.date_started).total_seconds()


def print_plugins() -> None:
    """Print a line for each active plugin."""
    output = io.StringIO()
    call_command("celery_results", "plugins", "--json", stdout=output)
    rows = [
        (one["name"], plugin_text(one), f"{one['distribution']} {one['version']}")
        for one in json.loads(output.getvalue())
    ]
    print_table(("PLUGIN", "WHAT IT DOES", "INSTALLED WITH"), rows)


def plugin_text(plugin: dict[str, Any]) -> str:
    """Return what the plugin does."""
    return PLUGINS.get(plugin["name"]) or f"hooks: {', '.join(plugin['hooks'])}"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal."""
    print("\n".join(table(headings, rows, screen_width())))


def conclude(problems: list[str], worker: Worker) -> int:
    """Print the outcome and what to try next; return the exit status."""
    for problem in problems:
        print(f"\nNot as expected: {problem}.", file=sys.stderr)
    if problems:
        print(f"See the worker's log, {os.path.relpath(worker.log)}.", file=sys.stderr)
        return 1
    print("\nEvery task ended as expected.")
    print("To see these results in Django's admin, run: make demo-admin")
    return 0
