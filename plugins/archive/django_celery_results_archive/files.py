"""The archive's files: name them, write each one whole or not at all, and find them again.

``<prefix>/<day>/<task>/<digest of the rows>-<number of rows>.<format>``
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages

from .formats import to_lines
from .options import options

if TYPE_CHECKING:
    from django.core.files.storage import Storage

    from .formats import Row

__all__ = ["ArchivedFile", "find", "folder_of", "save"]

GROUPS = "_groups"
UNNAMED = "_unnamed"
UNDATED = "undated"
LONGEST_FOLDER = 100
#: Names that a folder can have on every system, including Windows.
FOLDER_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|(?:com|lpt)\d)(?:\.|$))[A-Za-z0-9].*(?<!\.)")
#: The folders that a new file may add: the task's, the day's, the prefix, and its parent.
NEW_FOLDERS = 4
FILE_NAME = re.compile(r"[0-9a-f]{32}-(?P<rows>\d+)\.(jsonl(\.gz)?|parquet)")


@dataclass(frozen=True, kw_only=True)
class ArchivedFile:
    """A file of the archive."""

    name: str
    bytes: int
    rows: int


# -- Writing -------------------------------------------------------------------------


def save(rows: Sequence[Row]) -> None:
    """Write ``rows``, which are all tasks or all groups, to one file per day and task."""
    by_folder = sorted(rows, key=_folder)
    for folder, group in groupby(by_folder, key=_folder):
        _save_file(f"{options.prefix}/{folder}", list(group))


def _folder(row: Row) -> str:
    date = row["date_done"]
    day = UNDATED if date is None else date.date().isoformat()
    return f"{day}/{folder_of(row['name']) if 'name' in row else GROUPS}"


def folder_of(task: str | None) -> str:
    """Return the folder of a task: its name if a folder can have it, or else a similar name."""
    if task is None:
        return UNNAMED
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", task)[:LONGEST_FOLDER]
    if clean == task and FOLDER_NAME.fullmatch(task):
        return task
    # The digest keeps the folders of similarly named tasks apart.
    return f"{clean.strip('._-') or 'task'}-{hashlib.sha256(task.encode()).hexdigest()[:12]}"


def _save_file(folder: str, rows: list[Row]) -> None:
    """Write one file, unless it exists; its name depends on the rows, not on their format."""
    digest = hashlib.sha256(to_lines(rows)).hexdigest()[:32]
    content, suffix = options.format.encode(rows), options.format.suffix
    if options.gzip and suffix == "jsonl":
        content, suffix = gzip.compress(content, mtime=0), f"{suffix}.gz"
    name = f"{folder}/{digest}-{len(rows)}.{suffix}"
    storage = storages[options.storage]
    if storage.exists(name):
        if storage.size(name) == len(content):
            return
        # The storage writes in pieces, and the process died while it wrote the file.
        storage.delete(name)
    _save_whole(storage, name, content)


def _save_whole(storage: Storage, name: str, content: bytes) -> None:
    """Write a file so that no reader ever sees an incomplete one under its name."""
    if not isinstance(storage, FileSystemStorage):
        # An object store shows an object only once it has received all of it.
        storage.save(name, ContentFile(content))
        return
    path = Path(storage.path(name))
    part = f"{name}.{uuid4().hex}.part"
    try:
        storage.save(part, ContentFile(content))
        _sync(storage.path(part))
        Path(storage.path(part)).replace(path)
    except BaseException:
        # Without this, each cleanup would leave another part on a full disk.
        storage.delete(part)
        raise
    for folder in path.parents[:NEW_FOLDERS]:
        _sync(str(folder))


def _sync(path: str) -> None:
    """Flush a file or folder to the disk, because its rows are deleted next."""
    if os.name != "posix":  # pragma: no cover - other systems cannot flush folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- Finding -------------------------------------------------------------------------


def find(day: str | None = None, task: str | None = None) -> Iterator[ArchivedFile]:
    """Yield the files of the given day and task, or all files, in order of their names."""
    storage = storages[options.storage]
    only = None if task is None else folder_of(task)
    for of_day in _folders(storage, options.prefix, day):
        for folder in _folders(storage, of_day, only):
            for name in sorted(storage.listdir(folder)[1]):
                if found := FILE_NAME.fullmatch(name):
                    path = f"{folder}/{name}"
                    yield ArchivedFile(name=path, bytes=storage.size(path), rows=int(found["rows"]))


def _folders(storage: Storage, parent: str, only: str | None) -> list[str]:
    try:
        folders = sorted(storage.listdir(parent)[0])
    except FileNotFoundError:
        # Some storages have empty folders, and others do not.
        return []
    return [f"{parent}/{one}" for one in folders if only in (None, one)]
