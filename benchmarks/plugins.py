"""Measures the first-party plugins, as ratios to the core alone: see README.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import figures, tables
from .comparing import Rounds, compare, probe, ratios
from .environments import PLUGGED, pythons, workplace
from .plugged import ALL, BOTH, CORE, KINDS, WEIGHED
from .process import Process, running
from .terminal import databases_of, parser_of, print_table
from .work import SIZED

__all__ = ["main", "measure"]

#: The pieces of work for each plugin, and for all of them together.
PLAN = {"store_new": Rounds(50, 30), "read_one": Rounds(50, 30)}
#: How many results of each size are stored and read.
SIZED_PLAN = {"1 kB": Rounds(30, 16), "100 kB": Rounds(8, 10), "5 MB": Rounds(1, 6)}
#: How many rows of each size are weighed: some megabytes, so that one page hardly counts.
ROWS = {"1 kB": 4000, "100 kB": 80, "5 MB": 4}

Contenders = Mapping[str, Process]


def measure(database: str, scale: float, python: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of one database, and the versions of the measured packages."""
    with (
        workplace(python, database) as directory,
        running(dict.fromkeys(KINDS, python), database, directory) as contenders,
    ):
        one_by_one = {kind: one for kind, one in contenders.items() if kind != BOTH}
        able = [size for size in SIZED if SIZED[size][0] in contenders[CORE].works]
        weighed = {kind: contenders[kind] for kind in WEIGHED}
        measured = {
            "server": contenders[CORE].server,
            "work": {
                work: costs(work, plan.scaled(scale), one_by_one) for work, plan in PLAN.items()
            },
            "sizes": {size: effects(size, scale, weighed) for size in able},
            "left_out": [size for size in SIZED if size not in able],
        }
        return measured, contenders[ALL].versions


def costs(work: str, plan: Rounds, contenders: Contenders) -> dict[str, Any]:
    """Return the time of a piece of work divided by the core's, and the statements."""
    times = compare(work, plan, contenders.values())
    exact = probe(work, plan.count, contenders, list(contenders))
    return {"to_core": ratios(times, CORE), **exact}


def effects(size: str, scale: float, contenders: Contenders) -> dict[str, Any]:
    """Return the times and bytes of results of one size divided by the core's."""
    plan, works = SIZED_PLAN[size].scaled(scale), SIZED[size]
    store, read = (ratios(compare(work, plan, contenders.values()), CORE) for work in works)
    # At every scale: with few rows, a database's size mostly shows the steps in which it grows.
    bytes_of = {kind: one.ask("weigh", works[0], ROWS[size]) for kind, one in contenders.items()}
    whole = bytes_of[CORE]["table"]
    return {
        "store": store,
        "read": read,
        **{
            what: {kind: round(found[what] / whole, 4) for kind, found in bytes_of.items()}
            for what in ("table", "blobs")
        },
    }


def main() -> None:
    """Measure and print the figures that the command line asks for."""
    parser = parser_of("benchmarks.plugins", __doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 measures a tenth of the work")
    options = parser.parse_args()
    databases = databases_of(options)
    python = pythons(databases, options.install, [PLUGGED])[PLUGGED]
    for database in databases:
        measured, versions = measure(database, options.scale, python)
        print(f"{database} {measured['server']}: medians of ratios (quartiles)")
        print_table(tables.PLUGINS, tables.plugin_rows(measured))
        print_table(tables.SIZES, tables.size_rows(measured))
        if options.json:
            new = {"versions": {PLUGGED: versions}, "plugins": {database: measured}}
            figures.merge(options.json, {"machine": figures.machine(), **new})


if __name__ == "__main__":
    main()
