"""Valid labels: a short name, and a value with exactly one text form."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from uuid import UUID

from django.utils.functional import Promise

__all__ = ["MAX_NAME", "MAX_VALUE", "require_name", "text_of"]

#: The longest name and value, in characters. Name, value and task id make up the key of an
#: index, which MySQL limits to 3072 bytes, with four bytes per character.
MAX_NAME, MAX_VALUE = 50, 200
#: Types whose text is the same on every Python version, and after JSON has carried them.
PLAIN = (str, int, float, Decimal, UUID, date, Promise)


def require_name(name: object) -> str:
    """Return the name of a label; raise ``ValueError`` if it is not valid."""
    if not (isinstance(name, str) and name):
        raise ValueError(f"the name of a label has to be non-empty text, not {name!r:.50}")
    return _within(name, MAX_NAME, "the name of a label")


def text_of(value: object) -> str:
    """Return the text as which a label's value is stored and compared: 3 becomes ``"3"``.

    Dates and times become ISO 8601, and a member of an Enum its value. Raises
    ``ValueError`` for other types, and for text that is too long for a label.
    """
    if isinstance(value, Enum):
        value = value.value
    if not isinstance(value, PLAIN):
        what = "the value of a label has to be text, a number, a date or a UUID"
        raise ValueError(f"{what}, not {type(value).__name__}")  # noqa: TRY004 - the same for every invalid label
    text = value.isoformat() if isinstance(value, date) else str(value)
    return _within(text, MAX_VALUE, "the value of a label")


def _within(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise ValueError(f"{what} has {len(text)} characters; shorten it to {most} or fewer")
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character, which PostgreSQL cannot store; remove it")
    return text
