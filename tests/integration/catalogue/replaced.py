"""Canvases that change while they run: tasks that are replaced, and stamps that must stay."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import chain, chord, group

from tests.integration.tasks import (
    add,
    become,
    become_ignoring,
    become_stamped,
    echo,
    note_stamps,
    total,
)

from .parts import Canvas, linked, noted, stamped, told

__all__ = ["REPLACED", "STAMPED"]

REPLACEMENTS = ("task", "chain", "group", "chord", "chain of group", "failure", "failed chord")


def task_becomes(name: str, key: str) -> Any:
    """Return a task that is replaced."""
    return told(become.s(name), key)


def header_becomes(name: str, key: str) -> Any:
    """Return a chord with one header task that is replaced."""
    return chord([become.s(name), echo.s(9)], told(noted(key), key))


def body_becomes(name: str, key: str) -> Any:
    """Return a chord whose body, which has callbacks, is replaced."""
    return chord([echo.s(1), echo.s(2)], told(linked(become_ignoring.s(name), key), key))


def step_becomes(name: str, key: str) -> Any:
    """Return a chain whose second task is replaced."""
    return chain(echo.s(1), told(become_ignoring.s(name), key), noted(key))


BUILDERS = {
    "task": task_becomes,
    "header": header_becomes,
    "body": body_becomes,
    "chain's task": step_becomes,
}

REPLACED: dict[str, Canvas] = {
    **{
        f"{part} replaced by a {name}": partial(build, name)
        for part, build in BUILDERS.items()
        for name in REPLACEMENTS
    },
    "header replaced twice": lambda key: chord([become.s("replacement"), echo.s(9)], noted(key)),
    "header's chain replaced by a chord": lambda key: chord(
        [chain(echo.s(1), become_ignoring.s("chord"), add.s(1)), echo.s(9)], noted(key)
    ),
    "whole header replaced by groups": lambda key: chord(
        [become.s("group"), become.s("group")], noted(key)
    ),
    "group's member replaced by a chord": lambda _: group(become.s("chord"), echo.s(1)),
}

STAMPED: dict[str, Canvas] = {
    "stamped task": lambda key: stamped(note_stamps.si(key)),
    "stamped chain": lambda key: stamped(chain(echo.s(1), note_stamps.si(key)), color="blue"),
    "stamped group": lambda key: stamped(group(note_stamps.si(key), note_stamps.si(key))),
    "stamped chord": lambda key: stamped(
        chord([note_stamps.si(key), echo.s(1)], note_stamps.si(key))
    ),
    "stamped chord of chords": lambda key: stamped(
        chord([chord([note_stamps.si(key)], note_stamps.si(key)), echo.s(1)], note_stamps.si(key)),
        color="blue",
    ),
    "stamped header that is replaced": lambda key: stamped(
        chord([become_stamped.s(key), echo.s(9)], note_stamps.si(key))
    ),
    "stamped body that is replaced": lambda key: stamped(
        chord([echo.s(1), echo.s(9)], become_stamped.si(key)), color="blue"
    ),
    "stamped chord with callbacks": lambda key: stamped(
        chord([echo.s(1), echo.s(2)], told(linked(total.s(), key), key)), color="blue"
    ),
}
