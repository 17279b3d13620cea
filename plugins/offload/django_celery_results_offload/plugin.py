"""The plugin: a coding that marks, and wrappers of a storage's hooks that move.

The coding says which contents are worth it, and reads them back. It knows neither the
task nor whether it will be stored, so the blobs are written around ``store_task``. Until
then, and when that fails, the content stays in the row.
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

#: Raised before anything is written, such as for an id that is too long.
REFUSALS = (ResultsError, ValueError)

# -- The coding ----------------------------------------------------------------------


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Offer the coding ``offload``."""
    yield Coding(name=CODING, encode=stayed, decode=decode, wanted=is_wanted, renew=renew)


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Offer ``celery_results offload``."""
    yield command


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


def is_wanted(size: int) -> bool:
    """Return whether something of a record of this size has to go elsewhere."""
    return size > options.threshold


def decode(stored: bytes) -> bytes:
    """Return the content that stands in the row, or where the row points to."""
    pointer = Pointer.from_bytes(stored)
    return stored[1:] if pointer is None else fetch(pointer)


def renew(content: bytes, stored: bytes) -> bytes:
    """Return what stands for another content: in a blob of its own where it was in one.

    The older blob stays, as the row that points there is not written yet.
    """
    pointer = Pointer.from_bytes(stored)
    if pointer is None:
        return stayed(content)
    try:
        return save_beside(pointer, content).to_bytes()
    except Exception as error:  # noqa: BLE001 - whatever it is, the result is not lost for it
        outage.log(pointer.storage, error)
        return stayed(content)


# -- Storing -------------------------------------------------------------------------


class Failed(dict[str, Any]):
    """The contents of a task whose write failed, and the blobs of that try and those before."""

    def __init__(self, fields: Mapping[str, Any], blobs: set[Pointer]) -> None:
        super().__init__(fields)
        self.blobs = blobs


@hookimpl(wrapper=True)
def store_task(
    storage: Any, task: StoredTask, present: Present
) -> Generator[None, bool | None, bool | None]:
    """Write the blobs before the row, and delete those that no row points to after it."""
    before, whole = _pointers_now(present), task.contents
    tried = whole.fields.blobs if isinstance(whole.fields, Failed) else set()
    if is_offloaded(whole) and task.using in (None, _database_of(storage)):
        task.contents = moved(storage, task.task_id, whole)
    mine = _own_pointers(task)
    try:
        written = yield
    except Exception as error:
        # The row may be there all the same, and another write replace it and delete its
        # blobs: the next try has blobs of its own.
        if mine | tried:
            task.contents = replace(whole, fields=Failed(whole.fields, mine | tried))
        if isinstance(error, REFUSALS):
            _tidy(storage, mine | tried, present)
        raise
    if tried or before - mine or (mine and not (written and _is_kept(task))):
        _tidy(storage, before | mine | tried, present)
    return written


def _is_kept(task: StoredTask) -> bool:
    """Return whether the row is there for a while; a cache does not even take one that is not."""
    return task.retention is None or task.retention.seconds != 0


def _pointers_now(present: Present) -> set[Pointer]:
    """Return where the row points to; most rows point nowhere, and are not read for it."""
    found = present(())
    return (
        _own_pointers(present(None))
        if found is not None and is_offloaded(found.contents)
        else set()
    )


def _own_pointers(task: StoredTask | None) -> set[Pointer]:
    """Return the pointers to blobs that were written for this very task.

    Whoever copies a row, or makes one up, cannot have others' blobs and files deleted.
    """
    if task is None:
        return set()
    return {one for one in pointers_in(task.contents) if is_of(one.name, task.task_id)}


def _database_of(storage: Any) -> str | None:
    """Return the database in which ``storage`` has its results; ``None``: in none of Django's."""
    using: str | None = getattr(storage, "using", None)
    return using


# -- Letting go ----------------------------------------------------------------------


@hookimpl(wrapper=True)
def forget_task(storage: Any, present: Present) -> Generator[None, bool | None, bool | None]:
    """Delete the blobs of a result that is forgotten."""
    before = _pointers_now(present)
    answer = yield
    _delete_once_durable(_database_of(storage), before)
    return answer


@hookimpl
def after_expire(batch: ExpiryBatch) -> None:
    """Delete the blobs of results that have expired."""
    tasks: Sequence[Any] = batch.records if batch.kind == "task" else ()
    _delete_once_durable(batch.using, set().union(*map(_own_pointers, tasks)))


def _tidy(storage: Any, pointers: set[Pointer], present: Present) -> None:
    """Delete those blobs that the row does not point to: the write is done, or refused."""
    handled = sys.exc_info()[1]
    try:
        unused = pointers - _pointers_now(present)
    except Exception as error:
        # The result is stored: that is not undone, nor repeated, for this.
        message = "Blobs may be left over; 'celery_results offload --clean' deletes them"
        logger.exception(message, exc_info=apart(error, handled))
        return
    _delete_once_durable(_database_of(storage), unused)


def _delete_once_durable(alias: str | None, pointers: set[Pointer]) -> None:
    """Delete blobs at once, or when the transaction on that database has not been undone.

    Where the caller ends transactions by hand nobody is told of it: they are left over.
    """
    if alias is None or not pointers:
        delete(pointers)
    elif connections[alias].in_atomic_block or connections[alias].get_autocommit():
        transaction.on_commit(partial(delete, pointers), using=alias)
