"""What Django's own decorators call sensitive: ``sensitive_variables`` and its companion.

``sensitive_variables`` has its names in its wrapper: once that was called also as an
attribute, under which Django finds them in the frames of a traceback, and before that only in
its closure. ``sensitive_post_parameters`` has them on the request.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from traceback import walk_tb
from types import FrameType
from typing import Any

from celery import current_app
from django.http import HttpRequest

__all__ = ["EVERY", "Places", "frame_secrets", "secret_places", "sensitive_names"]

#: In the place of names: Django's word for all of them.
EVERY = "__ALL__"
WRAPPER = "sensitive_variables_wrapper"
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Names = frozenset[str]


@dataclass(frozen=True)
class Places:
    """Which arguments are secret by their place, counted from 0."""

    secret: tuple[bool, ...] = ()
    #: Those behind, which the function takes as ``*args``.
    rest: bool = False

    def has(self, place: int) -> bool:
        """Return whether the argument there is secret."""
        return self.secret[place] if place < len(self.secret) else self.rest

    def __bool__(self) -> bool:
        return any(self.secret) or self.rest


def sensitive_names(task: str | None) -> Names:
    """Return the variables that are sensitive in a task, or ``{EVERY}``; perhaps none."""
    return _marked(_function(task))


def secret_places(task: str | None, is_secret: Callable[[object], bool]) -> Places:
    """Return which arguments of a task are secret by their names."""
    parameters = _parameters(_function(task))
    return Places(
        tuple(is_secret(one.name) for one in parameters if one.kind in POSITIONAL),
        any(is_secret(one.name) for one in parameters if one.kind is one.VAR_POSITIONAL),
    )


def frame_secrets() -> Iterator[Any]:
    """Yield the values of what is sensitive in the frames of the exception being handled."""
    for frame, _line in walk_tb(sys.exc_info()[2]):
        names = _frame_names(frame)
        for name, value in frame.f_locals.items():
            if EVERY in names or name in names:
                yield value
            # By its type: to ask a lazy object for its class has it made, which may fail.
            if issubclass(type(value), HttpRequest):
                yield from _posted(value)


def _function(task: str | None) -> Any:
    found = current_app.tasks.get(task) if task else None
    return None if found is None else found.run


@lru_cache(maxsize=1024)
def _parameters(function: Any) -> Sequence[inspect.Parameter]:
    if function is None:
        return ()
    try:
        return tuple(inspect.signature(function).parameters.values())
    except ValueError:
        # One that is written in C, and does not say.
        return ()


@lru_cache(maxsize=1024)
def _marked(function: Any) -> Names:
    while function is not None:
        if getattr(getattr(function, "__code__", None), "co_name", "") == WRAPPER:
            return _names(inspect.getclosurevars(function).nonlocals["variables"] or EVERY)
        function = getattr(function, "__wrapped__", None)
    return frozenset()


def _names(found: Any) -> Names:
    return frozenset([EVERY]) if found == EVERY else frozenset(found)


def _frame_names(frame: FrameType) -> Names:
    """Return what is sensitive in a frame, as Django looks for it: up to the nearest wrapper."""
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == WRAPPER:
            wrapper = caller.f_locals.get(WRAPPER)
            return _names(getattr(wrapper, "sensitive_variables", ()))
        caller = caller.f_back
    return frozenset()


def _posted(request: HttpRequest) -> Iterator[Any]:
    names = _names(getattr(request, "sensitive_post_parameters", ()))
    # Nothing was read of a form that is too long, or whose sender went away.
    with suppress(Exception):
        for name in request.POST if names else ():
            if EVERY in names or name in names:
                yield request.POST.getlist(name)
