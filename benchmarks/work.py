"""The pieces of work that are measured, the same for every contender."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from . import sample

if TYPE_CHECKING:
    from .statements import Statements

__all__ = ["SIZED", "WORKS", "Contender", "Work"]


class Contender(Protocol):
    """The interface of all contenders."""

    #: The pieces of work that it can do besides storing and reading.
    works: frozenset[str]

    def start(self, task_ids: list[str]) -> None:
        """Write rows with the state STARTED."""

    def store(self, task_id: str, result: object = sample.RESULT) -> None:
        """Write one SUCCESS."""

    def read(self, task_id: str) -> object:
        """Read one result."""

    def read_group(self, task_ids: list[str]) -> object:
        """Read the results of a finished group."""

    def open_chord(self, task_ids: list[str]) -> list[Any]:
        """Start a chord with these tasks as its header; return each one's input for return_part."""

    def return_part(self, part: Any) -> None:
        """Store a part of a chord and count it; the last one sends the body."""

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""

    def expire(self) -> None:
        """Delete the expired rows."""

    def watched(self) -> AbstractContextManager[Statements | None]:
        """Count the statements in the block, if possible."""

    def close(self) -> None:
        """Delete what was stored outside the database."""


@dataclass(frozen=True)
class Work:
    """One piece of work: prepared without being measured, then done."""

    prepare: Callable[[Contender, int], Any]
    act: Callable[[Contender, Any], None]
    #: Whether one preparation serves every round.
    once: bool = False


def _new_ids(_contender: Contender, count: int) -> list[str]:
    return [str(uuid4()) for _ in range(count)]


def _started(contender: Contender, count: int) -> list[str]:
    task_ids = _new_ids(contender, count)
    contender.start(task_ids)
    return task_ids


def _stored(contender: Contender, count: int) -> list[str]:
    task_ids = _new_ids(contender, count)
    _store_all(contender, task_ids)
    return task_ids


def _store_all(contender: Contender, task_ids: list[str], result: object = sample.RESULT) -> None:
    for task_id in task_ids:
        contender.store(task_id, result)


def _read_all(contender: Contender, task_ids: list[str]) -> None:
    for task_id in task_ids:
        contender.read(task_id)


def _with_reports(size: int) -> tuple[Work, Work]:
    """Return two pieces of work: storing and reading results of so many bytes."""

    def store(contender: Contender, task_ids: list[str]) -> None:
        _store_all(contender, task_ids, sample.report(size))

    def stored(contender: Contender, count: int) -> list[str]:
        task_ids = _new_ids(contender, count)
        store(contender, task_ids)
        return task_ids

    return Work(_new_ids, store), Work(stored, _read_all, once=True)


def _read_group(contender: Contender, task_ids: list[str]) -> None:
    contender.read_group(task_ids)


def _chord(contender: Contender, count: int) -> list[Any]:
    return contender.open_chord(_new_ids(contender, count))


def _return_all(contender: Contender, parts: list[Any]) -> None:
    for part in parts:
        contender.return_part(part)


def _fill(contender: Contender, count: int) -> None:
    contender.fill(count)


def _expire(contender: Contender, _prepared: None) -> None:
    contender.expire()


#: The names of storing and reading, by the name of each size.
SIZED = {name: (f"store {name}", f"read {name}") for name in sample.SIZES}

WORKS = {
    "store_new": Work(_new_ids, _store_all),
    "store_existing": Work(_started, _store_all),
    "read_one": Work(_stored, _read_all, once=True),
    "read_group": Work(_stored, _read_group, once=True),
    "chord_part": Work(_chord, _return_all),
    **{
        work: made
        for name, size in sample.SIZES.items()
        for work, made in zip(SIZED[name], _with_reports(size), strict=True)
    },
    # The last one, because it empties the tables.
    "expire": Work(_fill, _expire),
}
