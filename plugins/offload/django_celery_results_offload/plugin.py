"""The plugin: a coding that marks, and wrappers of a storage's hooks that move.

The coding says which contents are worth it, and reads them back. It knows neither the
task nor whether it will be stored, so the blobs are written around ``store_task``. Until
then, and when that fails, the content stays in the row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.files.storage import storages
from django.db import transaction

from django_celery_results import hookimpl
from django_celery_results.exceptions import StorageError
from django_celery_results.records import Coding

from .blobs import delete, fetch, save, section_of
from .command import command
from .options import options
from .outage import outage
from .pointers import CODING, Pointer, is_offloaded, pointers_of, stayed, stored_bytes, to_text

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

    from django_celery_results.records import Command, ExpiryBatch, StoredTask

    Present = Callable[[Sequence[str] | None], StoredTask | None]

__all__ = ["after_expire", "forget_task", "store_task"]

logger = logging.getLogger(__name__)


# -- The coding ----------------------------------------------------------------------


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Offer the coding ``offload``."""
    yield Coding(name=CODING, encode=stayed, decode=decode, wanted=is_wanted)


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


# -- Storing -------------------------------------------------------------------------


@hookimpl(wrapper=True)
def store_task(
    storage: Any, task: StoredTask, present: Present
) -> Generator[None, bool | None, bool | None]:
    """Write the blobs before the row, and delete those that no row points to after it."""
    before = _pointers_now(present)
    # There are some already where the write is tried again.
    mine = pointers_of(task)
    _require_there(mine)
    if is_offloaded(task) and not mine and task.using is None:
        task.contents = replace(task.contents, fields=_moved(storage, task))
        mine = pointers_of(task)
    # When it raises, the row may be there all the same, or be written by the next try: the
    # blobs stay.
    written = yield
    if before - mine or (mine and not written):
        _tidy(storage, before | mine, present)
    return written


def _pointers_now(present: Present) -> set[Pointer]:
    """Return where the row points to; most rows point nowhere, and are not read for it."""
    found = present(())
    return pointers_of(present(None)) if found is not None and is_offloaded(found) else set()


def _moved(storage: Any, task: StoredTask) -> Mapping[str, Any]:
    """Write the largest contents to blobs until the rest is small; return all as they are then."""
    alias, section, fields = options.storage, section_of(storage), dict(task.contents.fields)
    contents = {name: stored_bytes(text)[1:] for name, text in fields.items() if text is not None}
    rest = sum(map(len, contents.values()))
    for name in sorted(contents, key=lambda name: len(contents[name]), reverse=True):
        if rest <= options.threshold:
            break
        try:
            pointer = save(alias, section, task.task_id, name, contents[name])
        except Exception as error:  # noqa: BLE001 - whatever it is, the result is not lost for it
            outage.log(alias, error)
            break
        fields[name] = to_text(pointer.to_bytes())
        rest -= len(contents[name])
    return fields


def _require_there(pointers: Iterable[Pointer]) -> None:
    """Raise for a blob that somebody deleted between two tries of one write.

    The first try was written then, and another write has replaced it.
    """
    for pointer in pointers:
        if not _is_there(pointer):
            raise StorageError(
                f"blob {pointer.name!r} is gone: the result was stored, and replaced since"
            )


def _is_there(pointer: Pointer) -> bool:
    try:
        return storages[pointer.storage].exists(pointer.name)
    except Exception:  # noqa: BLE001 - not known, and as a rule it is there
        return True


# -- Letting go ----------------------------------------------------------------------


@hookimpl(wrapper=True)
def forget_task(storage: Any, present: Present) -> Generator[None, bool | None, bool | None]:
    """Delete the blobs of a result that is forgotten."""
    before = _pointers_now(present)
    answer = yield
    if before:
        _once_durable(storage, partial(delete, before))
    return answer


@hookimpl
def after_expire(batch: ExpiryBatch) -> None:
    """Delete the blobs of results that have expired."""
    delete(set(_pointers_in(batch)))


def _pointers_in(batch: ExpiryBatch) -> Iterator[Pointer]:
    tasks: Sequence[Any] = batch.records if batch.kind == "task" else ()
    for task in tasks:
        yield from pointers_of(task)


def _tidy(storage: Any, pointers: set[Pointer], present: Present) -> None:
    """Delete those blobs that the row does not point to: the write is done, or refused."""
    try:
        unused = pointers - _pointers_now(present)
    except Exception:
        # The result is stored: that is not undone, nor repeated, for this.
        logger.exception("Blobs may be left over; 'celery_results offload --clean' deletes them")
        return
    _once_durable(storage, partial(delete, unused))


def _once_durable(storage: Any, function: Callable[[], None]) -> None:
    """Call ``function`` at once, or when the caller's transaction has not been undone."""
    # Imported here: the plugin is loaded before the models are.
    from django_celery_results.backends.database import DatabaseStorage

    if isinstance(storage, DatabaseStorage):
        transaction.on_commit(function, using=storage.write_alias())
    else:
        function()
