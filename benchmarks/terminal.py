"""The terminal: parsing the command line, and printing tables."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from .environments import DATABASES

__all__ = ["databases_of", "parser_of", "print_table"]


def parser_of(command: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all commands have."""
    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=description)
    parser.add_argument("--database", choices=[*DATABASES, "all"], default="sqlite")
    parser.add_argument("--json", type=Path, help="merge the figures into this file")
    parser.add_argument(
        "--no-install", dest="install", action="store_false", help="use the existing environments"
    )
    return parser


def databases_of(options: argparse.Namespace) -> list[str]:
    """Return the requested databases."""
    return list(DATABASES) if options.database == "all" else [options.database]


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of text in columns."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    print()
