"""The command ``celery_results offload``, which checks, cleans up and moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.core.files.storage import InvalidStorageError, storages
from django.core.management.base import CommandError
from django.utils.timezone import is_naive, make_aware

from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.management import (
    add_database_argument,
    database_contents,
    find_database_contents,
    open_backend,
    parse_age,
    print_table,
)
from django_celery_results.records import Command

from .blobs import delete, list_blobs, section_of, task_of
from .moving import Mover, may_point
from .options import options
from .pointers import Pointer, pointers_in

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

    from django_celery_results.backends import ResultBackend

__all__ = ["command"]

#: Tasks looked up at once, with the contents in their rows.
CHUNK = 100
DAY = timedelta(days=1)


def add_arguments(parser: CommandParser) -> None:
    """Declare the options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check", action="store_true", help="show blobs without a row and rows without their blob"
    )
    what.add_argument("--clean", action="store_true", help="delete blobs without a row")
    what.add_argument(
        "--move", action="store_true", help="move contents that stayed in their rows to the storage"
    )
    parser.add_argument(
        "--older-than",
        type=parse_age,
        default=DAY,
        metavar="AGE",
        help="ignore blobs younger than this, such as 12h; by default 1d. "
        "The row of a younger blob may not be written yet",
    )
    add_database_argument(parser)


def run(command: BaseCommand, arguments: Mapping[str, Any]) -> None:
    """Show, delete or move; raise ``CommandError`` if the blob of a row is missing."""
    backend = open_backend(arguments["database"])
    if arguments["move"]:
        _move(command, backend)
        return
    try:
        found = Search(backend, datetime.now(timezone.utc) - arguments["older_than"]).run()
    except (BackendMisconfigured, InvalidStorageError) as error:
        raise CommandError(str(error)) from error
    except NotImplementedError as error:
        raise CommandError(
            f"The storage {options.storage!r} cannot list its files or tell their age; "
            "--check and --clean need a storage that can."
        ) from error
    blobs = [("without a row", task_of(name), name) for name in found.orphans]
    rows = [("missing", task_id, one.name) for task_id, one in found.missing]
    print_table(command, ("BLOB", "TASK", "NAME"), [*blobs, *rows])
    if arguments["clean"]:
        delete(
            Pointer(storage=options.storage, name=name, size=0, sha256="") for name in found.orphans
        )
        command.stdout.write(f"Deleted {len(found.orphans)} blobs.")
    if found.missing:
        raise CommandError(
            f"{len(found.missing)} blobs are missing; their results cannot be read until the blobs "
            "are restored from a backup."
        )


def _move(command: BaseCommand, backend: ResultBackend) -> None:
    mover = Mover(backend.storage, database_contents(backend, may_point))
    try:
        mover.run()
    except BackendMisconfigured as error:
        raise CommandError(str(error)) from error
    command.stdout.write(f"Moved contents of {mover.moved} results.")
    if mover.stayed:
        raise CommandError(
            f"The storage {options.storage!r} cannot be written to, so {mover.stayed} results stay "
            "in their rows; run this command again once it can."
        )


@dataclass
class Search:
    """Finds the blobs without a row, and the rows without their blob, of one backend."""

    backend: ResultBackend
    #: Blobs written after this moment are left alone.
    until: datetime
    orphans: list[str] = field(default_factory=list)
    #: Pairs of a task's id and its pointer.
    missing: list[tuple[str, Pointer]] = field(default_factory=list)

    def run(self) -> Search:
        """Search the blobs first, then the rows: a row deleted in between cannot lack its blob."""
        blobs = set(list_blobs(section_of(self.backend.storage)))
        by_task: dict[str, set[str]] = {}
        for name in sorted(blobs):
            by_task.setdefault(task_of(name), set()).add(name)
        for ids in _chunks(iter(by_task)):
            used = {one.name for _, one in self._pointers(ids)}
            for task_id in ids:
                # Asking for a blob's age may need a request to a remote server.
                self.orphans += filter(self._is_old, sorted(by_task[task_id] - used))
        for ids in _chunks(self._rows(by_task)):
            for task_id, pointer in self._pointers(ids):
                if pointer.name not in blobs and self._is_missing(task_id, pointer):
                    self.missing.append((task_id, pointer))
        return self

    def _is_old(self, name: str) -> bool:
        try:
            moment = storages[options.storage].get_modified_time(name)
        except FileNotFoundError:
            return False
        return (make_aware(moment) if is_naive(moment) else moment) <= self.until

    def _is_missing(self, task_id: str, pointer: Pointer) -> bool:
        """Return whether the blob does not exist although the row still points to it."""
        if storages[pointer.storage].exists(pointer.name):
            return False
        return (task_id, pointer) in list(self._pointers([task_id]))

    def _pointers(self, ids: Sequence[str]) -> Iterator[tuple[str, Pointer]]:
        for task in self.backend.results.load(ids, primary=True):
            for pointer in sorted(pointers_in(task.contents), key=lambda one: one.name):
                yield task.task_id, pointer

    def _rows(self, known: Mapping[str, object]) -> Iterator[str]:
        """Yield the ids of rows with pointers; for a cache, of all tasks with a blob."""
        contents = find_database_contents(self.backend, may_point)
        yield from known if contents is None else contents.ids("task", CHUNK)


def _chunks(ids: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(ids, CHUNK)):
        yield chunk


command = Command(
    name="offload",
    help="check and clean up blobs, or move contents that stayed in their rows",
    run=run,
    add_arguments=add_arguments,
)
