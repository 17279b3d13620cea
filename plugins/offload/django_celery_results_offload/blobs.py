"""Blobs in a Django storage, named ``<prefix>/<backend>/<xx>/<task id>.<field>-<uuid>``.

Two writes never share a blob, even if they store the same content, so a write that gives
up its own blobs never deletes another's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from uuid import uuid4

from django.core.exceptions import SuspiciousOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InvalidStorageError, storages

from django_celery_results.exceptions import ResultUnavailable, ResultUnreadable, StorageError
from django_celery_results.logs import apart

from .options import options
from .pointers import Pointer

if TYPE_CHECKING:
    from django.core.files.storage import Storage

__all__ = ["delete", "fetch", "is_of", "list_blobs", "save", "save_beside", "section_of", "task_of"]

logger = logging.getLogger(__name__)

#: Errors that mean a forged pointer: trying again will not find a blob.
NO_BLOB = (SuspiciousOperation, ValueError, OverflowError, IsADirectoryError, NotADirectoryError)
#: Longest part of a path, in characters; a long id is split into several parts.
PART = 100


# -- Writing -------------------------------------------------------------------------


def section_of(storage: Any) -> str:
    """Return the folder of a result backend: several backends may share a storage."""
    place: str = getattr(storage, "place", None) or type(storage).__qualname__
    return quote(place, safe="")


def save(alias: str, section: str, task_id: str, field: str, content: bytes) -> Pointer:
    """Write a blob and return its pointer; raise whatever the storage raises."""
    return _save(alias, _name(section, task_id, field), content)


def save_beside(pointer: Pointer, content: bytes) -> Pointer:
    """Write a blob that replaces another, which is kept; return the pointer to the new one."""
    stem = pointer.name.rpartition("-")[0]
    return _save(pointer.storage, f"{stem}-{uuid4().hex}", content)


def _save(alias: str, name: str, content: bytes) -> Pointer:
    storage = storages[alias]
    try:
        _write(storage, name, content)
    except Exception:
        if isinstance(storage, FileSystemStorage):
            # Part of the blob may have been written, such as before the disk was full. Other
            # storages write all or nothing, and may not be able to delete at this moment.
            with suppress(Exception):
                storage.delete(name)
        raise
    digest = hashlib.sha256(content).hexdigest()
    return Pointer(storage=alias, name=name, size=len(content), sha256=digest)


def _write(storage: Storage, name: str, content: bytes) -> None:
    saved = storage.save(name, ContentFile(content))
    if saved != name:
        storage.delete(saved)
        raise StorageError(
            f"the storage saved the blob {name!r} under another name, {saved!r}; use a storage"
            " that keeps the given name"
        )
    if isinstance(storage, FileSystemStorage):
        _sync(Path(storage.path(name)), Path(storage.location))


def _name(section: str, task_id: str, field: str) -> str:
    """Return a new name for a blob, from which :func:`task_of` recovers the task's id."""
    return f"{options.prefix}/{section}/{_place(task_id)}.{field}-{uuid4().hex}"


def _place(task_id: str) -> str:
    """Return the part that the names of all blobs of a task share."""
    # A dot is escaped: a part that is only one or two dots would name another folder.
    safe = quote(task_id, safe="").replace(".", "%2E")
    path = "/".join(safe[start : start + PART] for start in range(0, len(safe), PART))
    # Spread over 256 folders, so that no folder on a disk holds all blobs.
    shelf = hashlib.sha256(task_id.encode()).hexdigest()[:2]
    return f"{shelf}/{path}"


def is_of(name: str, task_id: str) -> bool:
    """Return whether a blob's name says that it belongs to the task, under any prefix."""
    own = rf".+/{re.escape(_place(task_id))}\.\w+-[0-9a-f]{{32}}"
    return re.fullmatch(own, name) is not None


def task_of(name: str) -> str:
    """Return the id of the task that a blob belongs to."""
    *_, path = name.removeprefix(f"{options.prefix}/").split("/", 2)
    return unquote(path.replace("/", "").partition(".")[0])


def _sync(path: Path, root: Path) -> None:
    """Flush a file and its folders to the disk, before the row that points to it is written."""
    if os.name != "posix":  # pragma: no cover - other systems cannot flush folders
        return
    inside = len(path.relative_to(root).parts)
    for one in (path, *path.parents[:inside]):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def delete(pointers: Iterable[Pointer]) -> None:
    """Delete blobs; log each that cannot be deleted, which the clean-up finds later."""
    handled = sys.exc_info()[1]
    for pointer in pointers:
        try:
            storages[pointer.storage].delete(pointer.name)
        except Exception as error:
            logger.exception(
                "Blob %r in storage %r was not deleted; run 'celery_results offload --clean' to "
                "delete it",
                pointer.name,
                pointer.storage,
                exc_info=apart(error, handled),
            )


# -- Reading -------------------------------------------------------------------------


def fetch(pointer: Pointer) -> bytes:
    """Return the content of a blob, after checking it against the pointer's digest.

    Raises :class:`ResultUnavailable` while the storage is unreachable, and
    :class:`ResultUnreadable` if the blob is missing or was changed.
    """
    what = f"blob {pointer.name!r} in the storage {pointer.storage!r}"
    try:
        with storages[pointer.storage].open(pointer.name) as file:
            # One byte more shows that a blob is too long, however long it is.
            content = bytes(file.read(pointer.size + 1))
    except InvalidStorageError as error:
        raise ResultUnavailable(f"{what} cannot be read: {error}") from error
    except FileNotFoundError as error:
        raise ResultUnreadable(f"{what} is missing; restore it from a backup") from error
    except NO_BLOB as error:
        raise ResultUnreadable(
            f"{what} cannot have been written by this plugin ({error}); restore the row that"
            " points to it from a backup"
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ResultUnavailable(f"{what} cannot be read now, try again later: {reason}") from error
    if hashlib.sha256(content).hexdigest() != pointer.sha256:
        raise ResultUnreadable(
            f"{what} was changed: its SHA-256 digest differs; restore it from a backup"
        )
    return content


def list_blobs(section: str) -> Iterator[str]:
    """Yield the names of all blobs of a result backend."""
    yield from _list(storages[options.storage], f"{options.prefix}/{section}")


def _list(storage: Storage, folder: str) -> Iterator[str]:
    try:
        folders, files = storage.listdir(folder)
    except FileNotFoundError:
        return
    yield from (f"{folder}/{name}" for name in files)
    for name in folders:
        yield from _list(storage, f"{folder}/{name}")
