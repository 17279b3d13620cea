"""``manage.py celery_results expire``."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from .opening import add_database_argument, database_storage, open_backend
from .progress import INTERRUPTED, progress
from .subcommands import Subcommand, print_table, row_count

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

    from ..records import Expiry, ExpiryBatch
    from ..storages.database.expiry import DatabaseExpiry

__all__ = ["ExpireCommand", "parse_age"]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Older than any result, but the date that long ago is still valid on every database.
LONGEST_AGE = timedelta(days=1000 * 365)

NAMES = {"task": "tasks", "group": "groups", "chord": "rows of abandoned chords"}


class ExpireCommand(Subcommand):
    """Deletes expired tasks, groups and abandoned chords from the database.

    It does immediately what celery.backend_cleanup does, with the age and the filters that
    you give. Regardless of these, an unfinished task (STARTED, RETRY, RECEIVED or a custom
    state) stays until EXPIRE_UNFINISHED_AFTER, and a result with its own expiry date stays
    until that date. Plugins with expiry hooks see each batch.
    """

    name = "expire"
    help = "delete expired results from the database"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--dry-run", action="store_true", help="count what would be deleted; delete nothing"
        )
        parser.add_argument(
            "--older-than",
            type=parse_age,
            metavar="AGE",
            help="delete results of at least this age, such as 30s, 15m, 12h, 7d or 2w; "
            "the default is Celery's result_expires",
        )
        parser.add_argument(
            "--state",
            action="append",
            default=[],
            help="only tasks in this state, such as FAILURE; may be given several times",
        )
        parser.add_argument(
            "--task",
            default="",
            metavar="GLOB",
            help="only tasks whose name matches: * stands for any characters, ? for one",
        )
        parser.add_argument(
            "--batch-size",
            type=row_count,
            metavar="ROWS",
            help="how many rows to delete in one transaction; the default is EXPIRE_BATCH_SIZE",
        )
        add_database_argument(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Delete or count; raise ``CommandError`` if expired results had to be kept."""
        # Imported here because it loads Celery's backends, which other actions do not need.
        from ..storages.database.expiry import DatabaseExpiry, TaskCriteria

        backend = open_backend(options["database"])
        storage = database_storage(backend)
        age = options["older_than"]
        expires = (backend.expires or None) if age is None else age.total_seconds()
        kept: Counter[str] = Counter()
        expiry = _counting(backend.expirer.expiry(expires, options["batch_size"]), kept)
        criteria = TaskCriteria(states=tuple(options["state"]), name=options["task"])
        due = DatabaseExpiry(storage, expiry, criteria)
        if options["dry_run"]:
            _print_counts(command, due)
            return
        _delete(command, due, quiet=options["verbosity"] == 0)
        if kept:
            raise CommandError(
                f"{_sum_up(kept)} were kept because a before_expire plugin failed; "
                "see the log for its name and error"
            )


def parse_age(text: str) -> timedelta:
    """Parse an age, a number and a unit; argparse reports the error if ``text`` is invalid."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    age = found and timedelta(**{UNITS[found[2]]: int(found[1])})
    if age is None or age > LONGEST_AGE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an age; give a number and a unit, such as 30s, 15m, 12h, 7d or 2w"
        )
    return age


def _counting(expiry: Expiry, kept: Counter[str]) -> Expiry:
    """Return ``expiry``, changed to count the results that failing plugins keep."""
    ask = expiry.before
    if ask is None:
        return expiry

    def before(batch: ExpiryBatch) -> bool:
        agreed = ask(batch)
        if not agreed:
            kept[batch.kind] += len(batch.ids)
        return agreed

    return replace(expiry, before=before)


# -- Output --------------------------------------------------------------------------


def _print_counts(command: BaseCommand, due: DatabaseExpiry) -> None:
    rows = [(kind, state or "-", str(number)) for (kind, state), number in due.count().items()]
    print_table(command, ("KIND", "STATE", "ROWS"), sorted(rows))
    command.stdout.write("Nothing was deleted.")


def _delete(command: BaseCommand, due: DatabaseExpiry, *, quiet: bool) -> None:
    deleted = Counter(task=0) if due.tasks_alone else Counter(task=0, group=0, chord=0)
    with progress(command, lambda: due.count().total(), quiet=quiet) as show:
        try:
            for kind, number in due.delete():
                deleted[kind] += number
                show(deleted.total())
        except KeyboardInterrupt:
            done = f"Interrupted after deleting {_sum_up(deleted)}. No batch was half deleted."
            raise CommandError(done, returncode=INTERRUPTED) from None
    if not quiet:
        command.stdout.write(f"Deleted {_sum_up(deleted)}.")


def _sum_up(numbers: Counter[str]) -> str:
    return ", ".join(f"{number} {NAMES[kind]}" for kind, number in numbers.items())
