"""What a label may be: a short name, and a value that has one obvious text."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from uuid import UUID

from django.utils.functional import Promise

__all__ = ["MAX_NAME", "MAX_VALUE", "require_name", "text_of"]

#: Characters that a name may have, and a value. Name, value and the id of the task make
#: up the key of an index, for which MySQL has 3072 bytes, four of them for a character.
MAX_NAME, MAX_VALUE = 50, 200
#: What looks the same as text on every Python, and after a message carried it as JSON.
PLAIN = (str, int, float, Decimal, UUID, date, Promise)


def require_name(name: object) -> str:
    """Return the name of a label; raise ``ValueError`` unless it is one."""
    if not (isinstance(name, str) and name):
        raise ValueError(f"the name of a label has to be text that is not empty, not {name!r:.50}")
    return _within(name, MAX_NAME, "the name of a label")


def text_of(value: object) -> str:
    """Return the text that a label's value is stored and compared as: 3 is ``"3"``.

    Dates and times are in ISO 8601, and a member of an Enum is its value. Raises
    ``ValueError`` for other types, and for text that is too long to be a label.
    """
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, PLAIN):
        what = "a label is text, a number, a date or a UUID"
        raise ValueError(f"{what}, not {type(value).__name__}")  # noqa: TRY004 - as for whatever is wrong with a label
    text = value.isoformat() if isinstance(value, date) else str(value)
    return _within(text, MAX_VALUE, "the value of a label")


def _within(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise ValueError(f"{what} has {len(text)} characters; it may have {most}")
    if "\0" in text:
        raise ValueError(f"{what} has a character NUL, which PostgreSQL cannot store")
    return text
