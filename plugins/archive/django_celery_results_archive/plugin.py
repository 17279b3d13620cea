"""The plugin's hooks: they write results that are about to expire, and list the files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.management import print_table
from django_celery_results.records import Command

from .files import find, save
from .options import options
from .rows import rows_of

if TYPE_CHECKING:
    from django.core.checks import CheckMessage
    from django.core.management.base import BaseCommand, CommandParser

    from django_celery_results.records import ExpiryBatch

__all__ = ["before_expire", "check_settings", "contribute_commands"]


@hookimpl
def before_expire(batch: ExpiryBatch) -> None:
    """Write the batch; if this raises an error, the batch is not deleted."""
    save(list(rows_of(batch)))


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


# -- The command ---------------------------------------------------------------------


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Contribute ``celery_results archive``."""
    yield Command(
        name="archive",
        help="list the files with expired results",
        run=show_files,
        add_arguments=add_arguments,
    )


def add_arguments(parser: CommandParser) -> None:
    """Declare the options."""
    parser.add_argument("--list", action="store_true", required=True, help="list the files")
    parser.add_argument(
        "--day", type=_day, metavar="YYYY-MM-DD", help="only results that ended on this day (UTC)"
    )
    parser.add_argument("--task", metavar="NAME", help="only results of the task with this name")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write it as 2026-11-22") from None


def show_files(command: BaseCommand, arguments: Mapping[str, Any]) -> None:
    """Print each file with its size in bytes and its number of results, and the totals."""
    try:
        files = list(find(arguments["day"], arguments["task"]))
    except BackendMisconfigured as error:
        raise CommandError(str(error)) from error
    except NotImplementedError as error:
        raise CommandError(
            f"The storage {options.storage!r} cannot list its files; set "
            "DJANGO_CELERY_RESULTS['archive']['STORAGE'] to one that can."
        ) from error
    rows = [(file.name, str(file.bytes), str(file.rows)) for file in files]
    size, number = sum(file.bytes for file in files), sum(file.rows for file in files)
    print_table(command, ("FILE", "BYTES", "RESULTS"), [*rows, ("total", str(size), str(number))])
