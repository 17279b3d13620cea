"""The plugin's hooks: a coding that marks contents, and wrappers that move them to blobs.

The coding decides which records are large enough, and reads contents back. It knows
neither the task nor whether the write will succeed, so the wrapper of ``store_task``
writes the blobs. Until then, and if that fails, the content stays in the row.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultsError
from django_celery_results.logs import apart
from django_celery_results.records import Coding

from .blobs import delete, fetch, is_of, save_beside
from .command import command
from .moving import moved
from .options import options
from .outage import outage
from .pointers import CODING, Pointer, is_offloaded, pointers_in, stayed

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_celery_results.records import Command, ExpiryBatch, StoredTask

    Present = Callable[[Sequence[str] | None], StoredTask | None]

__all__ = ["after_expire", "forget_task", "store_task"]

logger = logging.getLogger(__name__)

#: Errors that the storage of results raises before it writes, such as for an id that is too long.
REFUSALS = (ResultsError, ValueError)

# -- The coding ----------------------------------------------------------------------


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Contribute the coding ``offload``."""
    yield Coding(name=CODING, encode=stayed, decode=decode, wanted=is_wanted, renew=renew)


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Contribute the command ``celery_results offload``."""
    yield command


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


def is_wanted(size: int) -> bool:
    """Return whether a record of this size, in bytes, has contents to offload."""
    return size > options.threshold


def decode(stored: bytes) -> bytes:
    """Return the content, from the row itself or from the blob that it points to."""
    pointer = Pointer.from_bytes(stored)
    return stored[1:] if pointer is None else fetch(pointer)


def renew(content: bytes, stored: bytes) -> bytes:
    """Return the stored form of a new content: in a new blob if the old one was in a blob.

    The old blob stays, because the row still points to it until it is written.
    """
    pointer = Pointer.from_bytes(stored)
    if pointer is None:
        return stayed(content)
    try:
        return save_beside(pointer, content).to_bytes()
    except Exception as error:  # noqa: BLE001 - no error may lose the result
        outage.log(pointer.storage, error)
        return stayed(content)


# -- Storing -------------------------------------------------------------------------


class Failed(dict[str, Any]):
    """The contents of a task whose write failed, with the blobs of all tries so far."""

    def __init__(self, fields: Mapping[str, Any], blobs: set[Pointer]) -> None:
        super().__init__(fields)
        self.blobs = blobs


@hookimpl(wrapper=True)
def store_task(
    storage: Any, task: StoredTask, present: Present
) -> Generator[None, bool | None, bool | None]:
    """Write the blobs before the row; after it, delete the blobs without a row."""
    before, whole = _pointers_now(present), task.contents
    tried = whole.fields.blobs if isinstance(whole.fields, Failed) else set()
    if is_offloaded(whole) and task.using in (None, _database_of(storage)):
        task.contents = moved(storage, task.task_id, whole)
    mine = _own_pointers(task)
    try:
        written = yield
    except Exception as error:
        # The row may have been written, and another write may replace it and delete its
        # blobs, so the next try writes new ones.
        if mine | tried:
            task.contents = replace(whole, fields=Failed(whole.fields, mine | tried))
        if isinstance(error, REFUSALS):
            _tidy(storage, mine | tried, present)
        raise
    if tried or before - mine or (mine and not (written and _is_kept(task))):
        _tidy(storage, before | mine | tried, present)
    return written


def _is_kept(task: StoredTask) -> bool:
    """Return whether the record is kept; a cache does not store one with a retention of 0."""
    return task.retention is None or task.retention.seconds != 0


def _pointers_now(present: Present) -> set[Pointer]:
    """Return the pointers in the stored row; read contents only if the row has pointers."""
    found = present(())
    return (
        _own_pointers(present(None))
        if found is not None and is_offloaded(found.contents)
        else set()
    )


def _own_pointers(task: StoredTask | None) -> set[Pointer]:
    """Return the pointers to blobs that were written for this very task.

    A pointer in a copied or forged row must not cause another task's files to be deleted.
    """
    if task is None:
        return set()
    return {one for one in pointers_in(task.contents) if is_of(one.name, task.task_id)}


def _database_of(storage: Any) -> str | None:
    """Return the alias of the database that holds the results, or ``None`` if none does."""
    using: str | None = getattr(storage, "using", None)
    return using


# -- Deleting ------------------------------------------------------------------------


@hookimpl(wrapper=True)
def forget_task(storage: Any, present: Present) -> Generator[None, bool | None, bool | None]:
    """Delete the blobs of a forgotten result."""
    before = _pointers_now(present)
    answer = yield
    _delete_once_durable(_database_of(storage), before)
    return answer


@hookimpl
def after_expire(batch: ExpiryBatch) -> None:
    """Delete the blobs of expired results."""
    tasks: Sequence[Any] = batch.records if batch.kind == "task" else ()
    _delete_once_durable(batch.using, set().union(*map(_own_pointers, tasks)))


def _tidy(storage: Any, pointers: set[Pointer], present: Present) -> None:
    """Delete the given blobs that the row does not point to, after the write or its refusal."""
    handled = sys.exc_info()[1]
    try:
        unused = pointers - _pointers_now(present)
    except Exception as error:
        # The result is stored; an error here must not undo or repeat the write.
        message = "Blobs may be left over; run 'celery_results offload --clean' to delete them"
        logger.exception(message, exc_info=apart(error, handled))
        return
    _delete_once_durable(_database_of(storage), unused)


def _delete_once_durable(alias: str | None, pointers: set[Pointer]) -> None:
    """Delete blobs now, or once the current transaction on that database is committed.

    If the caller ends transactions by hand, Django reports no commit, so the blobs are kept.
    """
    if alias is None or not pointers:
        delete(pointers)
    elif connections[alias].in_atomic_block or connections[alias].get_autocommit():
        transaction.on_commit(partial(delete, pointers), using=alias)
