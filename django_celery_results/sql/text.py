"""Text that every database can hold: all text is accepted, and changes to it are visible."""

from __future__ import annotations

__all__ = ["is_storable", "shorten", "storable"]

ELLIPSIS = "…"


def is_storable(text: str) -> bool:
    """Return whether every supported database can store ``text`` as it is.

    PostgreSQL's text excludes NUL (its manual, 8.3), and all encodings exclude lone surrogates.
    """
    if "\x00" in text:
        return False
    return text.isascii() or _encodes(text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    r"""Return ``text`` with NUL and lone surrogates written as ``\x00`` and ``\ud800``."""
    if is_storable(text):
        return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def shorten(text: str, length: int) -> str:
    """Return ``text``, cut to ``length`` characters with an ellipsis at its end if longer."""
    return text if len(text) <= length else text[: length - 1] + ELLIPSIS
