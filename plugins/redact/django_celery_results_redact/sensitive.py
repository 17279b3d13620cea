"""The names marked by Django's ``sensitive_variables`` and ``sensitive_post_parameters``.

``sensitive_variables`` keeps the names in its wrapper: in the wrapper's closure from the
start, and after the first call also as an attribute, under which Django finds them in the
frames of a traceback. ``sensitive_post_parameters`` keeps them on the request.
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

#: Django's word for all names.
EVERY = "__ALL__"
WRAPPER = "sensitive_variables_wrapper"
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Names = frozenset[str]


@dataclass(frozen=True)
class Places:
    """Which positional arguments are secret, counted from 0."""

    secret: tuple[bool, ...] = ()
    #: Whether the arguments after those, which the function takes as ``*args``, are secret.
    rest: bool = False

    def has(self, place: int) -> bool:
        """Return whether the argument at this place is secret."""
        return self.secret[place] if place < len(self.secret) else self.rest

    def __bool__(self) -> bool:
        return any(self.secret) or self.rest


def sensitive_names(task: str | None) -> Names:
    """Return the names of a task's sensitive variables, ``{EVERY}`` for all, or an empty set."""
    return _marked(_function(task))


def secret_places(task: str | None, is_secret: Callable[[object], bool]) -> Places:
    """Return which positional arguments of a task have secret names."""
    parameters = _parameters(_function(task))
    return Places(
        tuple(is_secret(one.name) for one in parameters if one.kind in POSITIONAL),
        any(is_secret(one.name) for one in parameters if one.kind is one.VAR_POSITIONAL),
    )


def frame_secrets() -> Iterator[Any]:
    """Yield the sensitive values in the frames of the exception being handled."""
    for frame, _line in walk_tb(sys.exc_info()[2]):
        names = _frame_names(frame)
        for name, value in frame.f_locals.items():
            if EVERY in names or name in names:
                yield value
            # type() and not isinstance(): that would evaluate a lazy object, which may fail.
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
        # A function written in C may lack a signature.
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
    """Return the sensitive names of a frame as Django does: those of the nearest wrapper."""
    caller: FrameType | None = frame
    while caller is not None:
        if caller.f_code.co_name == WRAPPER:
            wrapper = caller.f_locals.get(WRAPPER)
            return _names(getattr(wrapper, "sensitive_variables", ()))
        caller = caller.f_back
    return frozenset()


def _posted(request: HttpRequest) -> Iterator[Any]:
    names = _names(getattr(request, "sensitive_post_parameters", ()))
    # Reading POST fails if the form is too large or the client has disconnected.
    with suppress(Exception):
        for name in request.POST if names else ():
            if EVERY in names or name in names:
                yield request.POST.getlist(name)
