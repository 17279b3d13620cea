"""Logging an error, and not what was being handled when it was raised."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["apart"]

_E = TypeVar("_E", bound=BaseException)


def apart(error: _E, handled: BaseException | None) -> _E:
    """Return ``error``, from whose traceback ``handled`` has been taken.

    The exception of a failed task is being handled while its failure is stored. Python
    would add it, with all that it says, to the traceback of whatever is raised and logged
    meanwhile: before anything of it was masked or encrypted. ``handled`` is what
    ``sys.exc_info()[1]`` was before the ``try``::

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
