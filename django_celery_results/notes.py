"""Notes on errors, also on Python 3.10."""

from __future__ import annotations

__all__ = ["annotate"]


def annotate(error: BaseException, note: str) -> bool:
    """Put ``note`` at the end of the error's notes; return whether it was not there yet.

    ``BaseException.add_note`` came with Python 3.11.
    """
    notes = list(getattr(error, "__notes__", ()))
    others = [one for one in notes if one != note]
    error.__notes__ = [*others, note]  # type: ignore[attr-defined]  # set on 3.10 too
    return len(others) == len(notes)
