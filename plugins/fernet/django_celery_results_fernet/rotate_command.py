"""The command ``manage.py celery_results rotate``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db.models import Q

from django_celery_results.codec import codings_for, recode
from django_celery_results.exceptions import ResultUnreadable
from django_celery_results.management import (
    INTERRUPTED,
    add_database_argument,
    database_contents,
    open_backend,
    print_table,
    progress,
    row_count,
)
from django_celery_results.records import Coding, Contents, split_encoding

from .keyring import Keyring, fingerprint_of

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

    from django_celery_results.storages.database import ContentRow, DatabaseContents

__all__ = ["add_arguments", "run"]

NAME = "fernet"
#: The coding of the plugin that keeps contents in blobs. It stays outside the encryption,
#: because an encrypted pointer would hide from it which blobs are needed.
OUTERMOST = "offload"
#: Rows in memory at a time.
BATCH_SIZE = 100
#: Characters written in one transaction, not counting its last row: contents from blobs are
#: much larger than the rows that pointed to them.
PORTION = 32 * 1024 * 1024
#: How many rows that could not be decrypted are named for each reason.
SHOWN = 10
#: Largest number of separate reasons: some name a file, so that each row has its own.
REASONS = 20
OTHER_REASONS = "other reasons"
#: Stands in for a fingerprint if a content is not encrypted.
PLAIN = "plain"


def add_arguments(parser: CommandParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, without writing"
    )
    parser.add_argument(
        "--encrypt-plain", action="store_true", help="also encrypt results that are not encrypted"
    )
    parser.add_argument(
        "--batch-size",
        type=row_count,
        metavar="ROWS",
        default=BATCH_SIZE,
        help=f"rows written in one transaction (default: {BATCH_SIZE})",
    )
    add_database_argument(parser)


def run(command: BaseCommand, given: Mapping[str, Any], keys: Keyring) -> None:
    """Rotate the keys; raise ``CommandError`` if some rows could not be decrypted."""
    backend = open_backend(given["database"])
    wanted = Wanted(keys.prefix, encrypt_plain=given["encrypt_plain"])
    contents = database_contents(backend, wanted.condition)
    rotation = Rotation(keys, contents, wanted, dry_run=given["dry_run"])
    quiet = given["verbosity"] == 0
    with progress(command, contents.count, quiet=quiet) as show:
        try:
            for done in rotation.run(given["batch_size"]):
                show(done)
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted; {rotation.summary()} Run it again to go on.", returncode=INTERRUPTED
            ) from None
    if not quiet:
        if given["dry_run"]:
            print_table(command, ("KIND", "KEY", "ROWS"), rotation.table())
        command.stdout.write(rotation.summary())
    if rotation.failures:
        raise CommandError(rotation.report())


@dataclass(frozen=True)
class Wanted:
    """Selects the rows that may have contents that are not under the newest key."""

    prefix: str
    encrypt_plain: bool

    def condition(self, columns: Sequence[str]) -> Q:
        """Return a condition that selects these rows."""
        stale = reduce(or_, map(self._is_stale, columns))
        encrypted = Q(content_encoding__contains=NAME)
        return stale | ~encrypted if self.encrypt_plain else stale & encrypted

    def _is_stale(self, column: str) -> Q:
        there = Q(**{f"{column}__isnull": False})
        return there & ~Q(**{f"{column}__startswith": self.prefix})

    def includes(self, contents: Contents) -> bool:
        """Return whether contents with these codings are to be rotated."""
        return self.encrypt_plain or NAME in split_encoding(contents.content_encoding)[1]


class Reencryption:
    """Re-encrypts the contents of one row with the newest key."""

    def __init__(self, keys: Keyring, contents: Contents) -> None:
        self.keys = keys
        self.contents = contents
        applied = split_encoding(contents.content_encoding)[1]
        # Codings inside the encryption are left alone, whether or not they could be undone.
        self.kept, around = _divided(applied)
        self.names = (NAME, *around)
        own = Coding(name=NAME, encode=keys.encrypt, decode=self._decrypt)
        codings = {**codings_for(contents), NAME: own}
        # All is undone twice; what is far away, in a blob, is fetched once.
        self.codings = {
            name: replace(coding, decode=cache(coding.decode)) if name in self.names else coding
            for name, coding in codings.items()
        }
        self.found: list[str] = []

    def _decrypt(self, stored: bytes) -> bytes:
        content = self.keys.decrypt(stored)
        self.found.append(fingerprint_of(stored))
        return content

    def older_key(self) -> str | None:
        """Return the fingerprint of a key other than the newest that encrypts a field, if any.

        For a field that is not encrypted, the result is :data:`PLAIN`. Nothing is written.
        """
        undoing = {
            name: Coding(name=name, encode=bytes, decode=coding.decode)
            for name, coding in self.codings.items()
        }
        recode(self.contents, self.kept, self.names, undoing)
        there = sum(text is not None for text in self.contents.fields.values())
        # A field left by an earlier state may have other codings than the row names.
        keys = self.found + [PLAIN] * (there - len(self.found))
        return next((key for key in keys if key != self.keys.newest), None)

    def result(self) -> Contents:
        """Return the contents encrypted with the newest key."""
        return recode(self.contents, self.kept, self.names, self.codings)


@dataclass
class Rotation:
    """One run of the command, and its outcome."""

    keys: Keyring
    contents: DatabaseContents
    wanted: Wanted
    dry_run: bool
    #: The number of rows by kind and previous key.
    rotated: Counter[tuple[str, str]] = field(default_factory=Counter)
    written: int = 0
    #: For each reason, how many rows could not be decrypted, and the first of them.
    failures: Counter[str] = field(default_factory=Counter)
    first: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def run(self, batch_size: int) -> Iterator[int]:
        """Rotate in batches; after each, yield the number of rows looked at so far."""
        done = 0
        for batch in self.contents.batches(batch_size):
            for changes in _portions(self._changes(batch)):
                if not self.dry_run:
                    self.written += self.contents.replace(changes)
            done += len(batch)
            yield done

    def _changes(self, batch: Sequence[ContentRow]) -> Iterator[tuple[ContentRow, Contents]]:
        for row in batch:
            if not self.wanted.includes(row.contents):
                continue
            again = Reencryption(self.keys, row.contents)
            try:
                key = again.older_key()
                if key is None:
                    continue
                contents = row.contents if self.dry_run else again.result()
            except ResultUnreadable as error:
                self._note(row, str(error))
                continue
            self.rotated[row.kind, key] += 1
            yield row, contents

    def _note(self, row: ContentRow, reason: str) -> None:
        if reason not in self.failures and len(self.failures) >= REASONS:
            reason = OTHER_REASONS
        self.failures[reason] += 1
        if len(self.first[reason]) < SHOWN:
            self.first[reason].append(str(row))

    # -- Reporting -------------------------------------------------------------------

    def table(self) -> list[tuple[str, str, str]]:
        """Return the rows by kind and key."""
        return sorted((kind, key, str(number)) for (kind, key), number in self.rotated.items())

    def summary(self) -> str:
        """Return a sentence that says what was done."""
        found = self.rotated.total()
        if self.dry_run:
            return f"{found} rows would be re-encrypted. Nothing was written."
        text = f"{self.written} rows were re-encrypted with the key {self.keys.newest}."
        others = found - self.written
        return text + (
            f" {others} were changed or deleted by another process meanwhile." if others else ""
        )

    def report(self) -> str:
        """Return the rows that could not be decrypted, by reason."""
        lines = [f"{self.failures.total()} rows could not be decrypted and were left unchanged:"]
        for reason, number in self.failures.most_common():
            more = number - len(self.first[reason])
            rows = ", ".join(self.first[reason]) + (f" and {more} more" if more else "")
            lines.append(f"- {reason}: {rows}")
        return "\n".join(lines)


def _portions(
    changes: Iterator[tuple[ContentRow, Contents]],
) -> Iterator[list[tuple[ContentRow, Contents]]]:
    """Yield the changes in portions of limited size."""
    portion, size = [], 0
    for row, contents in changes:
        portion.append((row, contents))
        size += sum(len(text) for text in contents.fields.values() if text is not None)
        if size >= PORTION:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _divided(applied: Sequence[str]) -> tuple[int, Sequence[str]]:
    """Return how many codings are inside the encryption, and the names of those around it.

    For contents that are not encrypted, only the outermost coding is to be around it.
    """
    if NAME in applied:
        inside = applied.index(NAME)
        return inside, applied[inside + 1 :]
    inside = applied.index(OUTERMOST) if OUTERMOST in applied else len(applied)
    return inside, applied[inside:]
