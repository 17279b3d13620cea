"""The blobs: ``<prefix>/<backend>/<xx>/<task id>.<field>-<a name of its own>`` in a storage.

No two writes share a blob, though they store the same: whoever gives up its own then
never takes another's.
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

#: Raised for a pointer that somebody made up: no later try will find more.
NO_BLOB = (SuspiciousOperation, ValueError, OverflowError, IsADirectoryError, NotADirectoryError)
#: Letters of a part of a path, at most; an id may have several parts.
PART = 100


# -- Writing -------------------------------------------------------------------------


def section_of(storage: Any) -> str:
    """Return the folder of a result backend: others may keep their blobs beside it."""
    place: str = getattr(storage, "place", None) or type(storage).__qualname__
    return quote(place, safe="")


def save(alias: str, section: str, task_id: str, field: str, content: bytes) -> Pointer:
    """Write a blob, and return the pointer to it; raise whatever the storage raises."""
    return _save(alias, _name(section, task_id, field), content)


def save_beside(pointer: Pointer, content: bytes) -> Pointer:
    """Write a blob that takes the place of another, which stays; return the pointer to it."""
    stem = pointer.name.rpartition("-")[0]
    return _save(pointer.storage, f"{stem}-{uuid4().hex}", content)


def _save(alias: str, name: str, content: bytes) -> Pointer:
    storage = storages[alias]
    try:
        _write(storage, name, content)
    except Exception:
        if isinstance(storage, FileSystemStorage):
            # What was written of it, such as when the disk is full. Other storages write
            # all or nothing, and may have no answer to this either.
            with suppress(Exception):
                storage.delete(name)
        raise
    digest = hashlib.sha256(content).hexdigest()
    return Pointer(storage=alias, name=name, size=len(content), sha256=digest)


def _write(storage: Storage, name: str, content: bytes) -> None:
    saved = storage.save(name, ContentFile(content))
    if saved != name:
        storage.delete(saved)
        raise StorageError(f"the storage gave the blob a name of its own: {saved!r}")
    if isinstance(storage, FileSystemStorage):
        _sync(Path(storage.path(name)), Path(storage.location))


def _name(section: str, task_id: str, field: str) -> str:
    """Return a new name for a blob, from which :func:`task_of` knows the task again."""
    return f"{options.prefix}/{section}/{_place(task_id)}.{field}-{uuid4().hex}"


def _place(task_id: str) -> str:
    """Return what the names of all blobs of a task have in common."""
    # One dot, or two, would be another folder.
    safe = quote(task_id, safe="").replace(".", "%2E")
    path = "/".join(safe[start : start + PART] for start in range(0, len(safe), PART))
    # So that no folder of a disk has them all.
    shelf = hashlib.sha256(task_id.encode()).hexdigest()[:2]
    return f"{shelf}/{path}"


def is_of(name: str, task_id: str) -> bool:
    """Return whether a blob of that name was written for that task, under whichever prefix."""
    own = rf".+/{re.escape(_place(task_id))}\.\w+-[0-9a-f]{{32}}"
    return re.fullmatch(own, name) is not None


def task_of(name: str) -> str:
    """Return the id of the task whose blob has that name."""
    *_, path = name.removeprefix(f"{options.prefix}/").split("/", 2)
    return unquote(path.replace("/", "").partition(".")[0])


def _sync(path: Path, root: Path) -> None:
    """Wait until a file and its folders are on the disk: the row that points there will be."""
    if os.name != "posix":  # pragma: no cover - elsewhere there is no such call for folders
        return
    inside = len(path.relative_to(root).parts)
    for one in (path, *path.parents[:inside]):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def delete(pointers: Iterable[Pointer]) -> None:
    """Delete blobs; one that cannot be deleted is logged, and found by the clean-up."""
    handled = sys.exc_info()[1]
    for pointer in pointers:
        try:
            storages[pointer.storage].delete(pointer.name)
        except Exception as error:
            logger.exception(
                "Blob %r in storage %r was not deleted; 'celery_results offload --clean' will",
                pointer.name,
                pointer.storage,
                exc_info=apart(error, handled),
            )


# -- Reading -------------------------------------------------------------------------


def fetch(pointer: Pointer) -> bytes:
    """Return what is in a blob, if it is what was written.

    Raises :class:`ResultUnavailable` while the storage is away, :class:`ResultUnreadable`
    for what is missing or was changed.
    """
    what = f"blob {pointer.name!r} in the storage {pointer.storage!r}"
    try:
        with storages[pointer.storage].open(pointer.name) as file:
            # One more, so as to see that it is longer, however much longer it is.
            content = bytes(file.read(pointer.size + 1))
    except InvalidStorageError as error:
        raise ResultUnavailable(f"{what} cannot be read: {error}") from error
    except FileNotFoundError as error:
        raise ResultUnreadable(f"{what} is missing") from error
    except NO_BLOB as error:
        raise ResultUnreadable(f"{what} is none that was ever written: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ResultUnavailable(f"{what} cannot be read now: {reason}") from error
    if hashlib.sha256(content).hexdigest() != pointer.sha256:
        raise ResultUnreadable(f"{what} is not what was written: its digest is another")
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
