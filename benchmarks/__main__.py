"""Compare this checkout with 2.6.0, Celery's own backends and the bare driver: see README.md."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import figures, servers, tables
from .comparing import PLAN
from .environments import pythons
from .measuring import Measurement, profile
from .terminal import databases_of, parser_of, print_table


def measure(database: str, options: argparse.Namespace, found: dict[str, Path]) -> dict[str, Any]:
    """Measure on one database, print the figures and return them."""
    works = [work for work in PLAN if not options.work or work in options.work]
    measured, versions = Measurement(database, works, options.scale, found).run()
    print(f"{database} {measured['server']}: medians of ratios (quartiles)")
    print_table(tables.TIMES, tables.time_rows(database, measured))
    print_table(tables.FACTS, tables.fact_rows(database, measured))
    return {
        "machine": figures.machine(),
        "versions": versions,
        figures.part(servers.durable()): {database: measured},
    }


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = parser_of("benchmarks", __doc__)
    parser.add_argument("do", nargs="?", choices=["compare", "profile"], default="compare")
    parser.add_argument("--work", choices=PLAN, action="append", help="this alone; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 measures a tenth of the work")
    parser.add_argument(
        "--durable", action="store_true", help="commits wait for the disk, as they do by default"
    )
    return parser.parse_args(arguments)


def main() -> None:
    """Measure and print the figures that the command line asks for."""
    options = parse()
    if options.durable:
        os.environ[servers.DURABLE] = "1"
    databases = databases_of(options)
    found = pythons(databases, options.install)
    for database in databases:
        if options.do == "profile":
            profile(database, (options.work or ["store_new"])[0], found["ours"])
            continue
        measured = measure(database, options, found)
        if options.json:
            figures.merge(options.json, measured)


if __name__ == "__main__":
    main()
