"""Prepares errors for log messages: notes, one-line texts, and tracebacks without secrets."""

from __future__ import annotations

from traceback import walk_tb
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["apart"]

_E = TypeVar("_E", bound=BaseException)


def apart(error: _E, handled: BaseException | None) -> _E:
    """Return ``error`` with ``handled`` removed from its chain of causes and contexts.

    While a task's failure is stored, Python is still handling the exception of the task. It
    adds that exception, with its whole message, to the traceback of any error that is raised
    and logged meanwhile, and at that point nothing in the message has been masked or encrypted.
    ``handled`` is the value of ``sys.exc_info()[1]`` before the ``try``::

        handled = sys.exc_info()[1]
        try:
            count(task)
        except Exception as error:
            logger.exception("It was not counted", exc_info=apart(error, handled))

    .. versionadded:: 3.0
    """
    link: BaseException | None = error
    while link is not None and handled is not None:
        if link.__cause__ is handled:
            link.__cause__ = None
        if link.__context__ is handled:
            link.__context__ = None
        link = link.__context__
    return error


def annotate(error: BaseException, note: str) -> bool:
    """Make ``note`` the last note of the error; return whether it was absent before.

    This works on Python 3.10 too; ``BaseException.add_note`` came with Python 3.11.
    """
    notes = list(getattr(error, "__notes__", ()))
    others = [one for one in notes if one != note]
    error.__notes__ = [*others, note]  # type: ignore[attr-defined]  # set on 3.10 too
    return len(others) == len(notes)


def described(error: Exception) -> str:
    """Return the error and its notes, such as the hook or the database, in one line."""
    notes = getattr(error, "__notes__", ())
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" + (f" ({'; '.join(notes)})" if notes else "")


def sentence(text: str) -> str:
    """Return ``text`` with a full stop, unless it ends like a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def frames_of(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames of the error's traceback, outermost first."""
    return (frame for frame, _ in walk_tb(error.__traceback__))
