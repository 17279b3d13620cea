"""``manage.py celery_results chords``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.utils import timezone

from ..exceptions import ResultsError
from ..records import leaf_ids
from .opening import add_database_argument, open_backend
from .subcommands import Subcommand, print_table

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

    from ..backends import ResultBackend
    from ..records import UnfinishedChord

__all__ = ["ChordsCommand"]

HEADINGS = ("GROUP", "AGE", "RETURNED", "CLAIMED", "BODY")


class ChordsCommand(Subcommand):
    """Lists the chords whose body has not been sent; can finish those whose worker died."""

    name = "chords"
    help = "list unfinished chords; --finish finishes those whose worker died"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--finish",
            action="store_true",
            help="first count finished tasks that were missed, and send bodies that were not sent",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        add_database_argument(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Finish chords if asked to, then print the remaining ones."""
        backend = open_backend(options["database"])
        _require_list(backend)
        finished = backend.chords.finish_all() if options["finish"] else None
        rows = [_row(backend, chord) for chord in backend.chords.unfinished() or ()]
        if options["json"]:
            found = {"finished": finished, "chords": [one.as_dict() for one in rows]}
            command.stdout.write(json.dumps(found, indent=2))
            return
        if finished is not None:
            command.stdout.write(f"Finished {finished} chord{'' if finished == 1 else 's'}.")
        print_table(command, HEADINGS, [one.as_cells() for one in rows])


def _require_list(backend: ResultBackend) -> None:
    if backend.chords.unfinished() is None:
        raise CommandError(
            f"The result storage {backend.hooks.storage!r} cannot list its chords. "
            "A chord whose worker died is finished only if one of its tasks is delivered again"
        )


@dataclass(frozen=True)
class _Row:
    """One chord, as the command prints it."""

    group_id: str
    size: int
    waiting: int
    date_created: datetime | None
    date_claimed: datetime | None
    #: The names of the body's tasks; ``None`` if the body is not known.
    body: Sequence[str] | None

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, with dates as ISO 8601."""
        dates = {"date_created": self.date_created, "date_claimed": self.date_claimed}
        return {
            "group_id": self.group_id,
            "size": self.size,
            "waiting": self.waiting,
            **{name: date and date.isoformat() for name, date in dates.items()},
            "body": self.body,
        }

    def as_cells(self) -> Sequence[str]:
        """Return the cells of the table row, with dates as ages."""
        return (
            self.group_id,
            _age(self.date_created),
            f"{self.size - self.waiting}/{self.size}",
            _age(self.date_claimed),
            "-" if self.body is None else ", ".join(self.body),
        )


def _row(backend: ResultBackend, chord: UnfinishedChord) -> _Row:
    # Celery may have given a size larger than the number of results.
    size = max(len(set(leaf_ids(chord.results))), len(chord.counted) + chord.waiting)
    return _Row(
        group_id=chord.group_id,
        size=size,
        waiting=chord.waiting,
        date_created=chord.date_created,
        date_claimed=chord.date_claimed,
        body=_task_names(backend, chord),
    )


def _task_names(backend: ResultBackend, chord: UnfinishedChord) -> Sequence[str] | None:
    # Imported here because it loads Celery's backends, which other actions do not need.
    from ..backends.translation import leaf_signatures

    try:
        body = backend.chords.body_of(chord)
    except ResultsError:
        return ["(cannot be read)"]
    return None if body is None else [one["task"] for one in leaf_signatures(body)]


def _age(date: datetime | None) -> str:
    if date is None:
        return "-"
    return str(timedelta(seconds=int((timezone.now() - date).total_seconds())))
