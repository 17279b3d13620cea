"""Tasks per second of a real worker, end to end, with each result backend: see README.md.

Every worker is a Celery prefork pool of two processes with the Redis broker. All run the same
short tasks, in turn.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import figures, tables
from .comparing import Rounds, Times, spread
from .environments import RELEASE, environment_of, pythons, workplace
from .terminal import databases_of, parser_of, print_table

#: The environment that each worker runs in; ``ceiling`` keeps no results.
KINDS = {
    "ours": "ours",
    "ours, connecting anew": "ours",
    RELEASE: RELEASE,
    "db+": RELEASE,
    "redis": RELEASE,
    "django-cache": "ours",
    "ceiling": RELEASE,
}
PLAN = Rounds(2000, 3)
#: Tasks before the measurement, in which the worker's processes import, connect and prepare.
WARMING = 50


@contextmanager
def running(found: Mapping[str, Path], database: str, directory: Path) -> Iterator[dict[str, str]]:
    """Start the workers and yield the name of each, for its database and keys; then end them."""
    names, workers = {}, []
    try:
        for kind, python in KINDS.items():
            environment = environment_of(kind, database, directory)
            names[kind] = json.loads(environment["BENCHMARK"])["name"]
            command = [str(found[python]), "-m", "benchmarks.worker_app"]
            # Celery prints a banner to standard output, and errors to standard error.
            quiet = subprocess.DEVNULL
            workers.append(subprocess.Popen(command, cwd=directory, env=environment, stdout=quiet))
        yield names
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


@contextmanager
def driving(python: Path, database: str, directory: Path) -> Iterator[Any]:
    """Yield a function that lets a worker run tasks and returns the seconds that they took."""
    with subprocess.Popen(
        [python, "-m", "benchmarks.driver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
        env=environment_of("driver", database, directory),
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        questions, answers = driver.stdin, driver.stdout

        def run(name: str, count: int) -> float:
            questions.write(json.dumps({"name": name, "count": count}) + "\n")
            questions.flush()
            answer = answers.readline()
            if not answer:
                raise SystemExit(f"the driver of the workers ended with {driver.wait()}")
            return float(json.loads(answer)["seconds"])

        yield run


def measure(run: Any, names: Mapping[str, str], plan: Rounds) -> Times:
    """Return the tasks per second of each worker in each round."""
    rates: Times = {kind: [] for kind in names}
    for name in names.values():
        run(name, WARMING)
    for number in range(plan.rounds):
        kinds = list(names)
        turn = number % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            rates[kind].append(plan.count / run(names[kind], plan.count))
    return rates


def figures_of(rates: Times) -> dict[str, Any]:
    """Return the rates divided by the rate without results, and by that of the release."""
    return {
        kind: {
            "to_ceiling": _spread(rounds, rates["ceiling"]),
            "to_release": _spread(rounds, rates[RELEASE]),
        }
        for kind, rounds in rates.items()
    }


def _spread(rounds: list[float], base: list[float]) -> list[float]:
    return spread([one / other for one, other in zip(rounds, base, strict=True)])


def compare(database: str, plan: Rounds, found: Mapping[str, Path]) -> dict[str, Any]:
    """Return the figures of all workers on one database."""
    with workplace(found["ours"], database) as directory:
        driver = driving(found[RELEASE], database, directory)
        with driver as run, running(found, database, directory) as names:
            return figures_of(measure(run, names, plan))


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = parser_of("benchmarks.workers", __doc__)
    parser.add_argument("--tasks", type=int, default=PLAN.count, help="number of tasks in a round")
    parser.add_argument("--rounds", type=int, default=PLAN.rounds)
    return parser.parse_args()


def main() -> None:
    """Measure and print the figures that the command line asks for."""
    # Exit normally when terminated, so that the workers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    options = parse()
    databases = databases_of(options)
    found = pythons(databases, options.install)
    for database in databases:
        measured = compare(database, Rounds(options.tasks, options.rounds), found)
        print(f"{database}: tasks per second, medians of ratios (quartiles)")
        print_table(tables.WORKERS, tables.worker_rows(measured))
        if options.json:
            figures.merge(options.json, {"workers": {database: measured}})


if __name__ == "__main__":
    main()
