"""Compare this checkout with 2.6.0 and with the bare driver: see README.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RELEASE = "2.6.0"

#: What is measured: the tasks in one round of each piece of work.
WORK = {"store_new": 200, "store_existing": 200, "read_one": 200, "read_group": 1000}
DRIVERS = {"sqlite": [], "postgresql": ["psycopg[binary]"], "mariadb": ["mysqlclient"]}


def environment(name: str, packages: list[str]) -> Path:
    """Return the Python of a virtual environment with ``packages``, made if it is not there."""
    directory = ROOT / f".venv-bench-{name}"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def environments(database: str) -> dict[str, Path]:
    """Return the Python of each contender, all with the same Django, Celery and driver."""
    shared = ["Django==5.2.*", "celery==5.7.*", *DRIVERS[database]]
    ours = environment("ours", [*shared])
    subprocess.run(
        [ours, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", ROOT],
        check=True,
    )
    subprocess.run([ours, "-m", "pip", "install", "--quiet", ROOT], check=True)
    theirs = environment("release", [*shared, f"django-celery-results=={RELEASE}"])
    return {"ours": ours, RELEASE: theirs, "floor": ours}


class Process:
    """A contender at work in its own process."""

    def __init__(self, kind: str, python: Path, database: str, directory: str) -> None:
        name = f"results_bench_{kind.replace('.', '')}_{os.getpid()}"
        script = str(HERE / "contender.py")
        command = [str(python), script, kind, database, name, directory]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=directory
        )
        self._answer()

    def measure(self, work: str, count: int) -> float:
        """Return the seconds that ``work`` takes, per task."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"work": work, "count": count}) + "\n")
        self.process.stdin.flush()
        return float(self._answer()["seconds"]) / count

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a contender ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """Let the process drop its database and end."""
        self.process.communicate()


def compare(database: str, rounds: int) -> dict[str, Any]:
    """Return the ratios for each piece of work, and what the hooks cost."""
    pythons = environments(database)
    with tempfile.TemporaryDirectory() as directory:
        contenders = {
            kind: Process(kind, python, database, directory) for kind, python in pythons.items()
        }
        figures = {work: _ratios(work, count, contenders, rounds) for work, count in WORK.items()}
        for contender in contenders.values():
            contender.close()
        hooks = subprocess.run(
            [pythons["ours"], HERE / "hooks.py"],
            check=True,
            capture_output=True,
            text=True,
            cwd=directory,
        )
    return {"database": database, "work": figures, "hooks_microseconds": json.loads(hooks.stdout)}


def _ratios(work: str, count: int, contenders: dict[str, Process], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {kind: [] for kind in contenders}
    for number in range(rounds + 1):
        for kind, contender in contenders.items():
            seconds = contender.measure(work, count)
            if number:  # The first round warms caches and prepared statements.
                times[kind].append(seconds)
    median = {kind: statistics.median(values) for kind, values in times.items()}
    return {
        "ours_to_floor": median["ours"] / median["floor"],
        "release_to_floor": median[RELEASE] / median["floor"],
        "release_to_ours": median[RELEASE] / median["ours"],
        "ours_microseconds": median["ours"] * 1e6,
    }


def print_figures(figures: dict[str, Any]) -> None:
    """Print the ratios as a table."""
    print(f"{figures['database']}: medians, per task")
    print(f"{'work':16}{'ours ÷ floor':>14}{'2.6.0 ÷ floor':>15}{'against 2.6.0':>16}")
    for work, ratios in figures["work"].items():
        print(
            f"{work:16}{ratios['ours_to_floor']:14.2f}{ratios['release_to_floor']:15.2f}"
            f"{ratios['release_to_ours']:10.2f} times"
        )
    for idle, added in figures["hooks_microseconds"].items():
        share = 100 * added / figures["work"]["store_new"]["ours_microseconds"]
        print(f"hooks with {idle:>2} idle plugins: {added:.1f} µs, {share:.1f} % of a store")


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--database", choices=sorted(DRIVERS), default="sqlite")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each piece of work")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    figures = compare(options.database, options.rounds)
    print_figures(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
