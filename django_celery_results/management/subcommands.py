"""Base class and helpers for the actions of ``manage.py celery_results``."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["Subcommand", "print_table", "row_count"]


class Subcommand(ABC):
    """One action: its name on the command line, its arguments, and what it does.

    ``--help`` prints the class's docstring above the arguments.
    """

    #: The word after ``manage.py celery_results``.
    name: ClassVar[str]
    #: One line for the list of actions.
    help: ClassVar[str]

    @property
    def description(self) -> str:
        """The text that ``--help`` prints above the arguments."""
        return self.__doc__ or ""

    @abstractmethod
    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""

    @abstractmethod
    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Run the action; print to ``command.stdout`` and raise ``CommandError`` for problems."""


def print_table(
    command: BaseCommand, headings: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Print ``rows`` under ``headings``, each column as wide as its widest cell."""
    table = [headings, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        command.stdout.write("  ".join(cells).rstrip())


def row_count(text: str) -> int:
    """Parse a number of rows; argparse reports the error if ``text`` is invalid."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
