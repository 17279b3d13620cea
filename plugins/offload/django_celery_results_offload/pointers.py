"""What stands in a row: a content that stayed, or a pointer to where it went.

As every coding's, it is bytes, which the core keeps as base64. The first byte tells which.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_celery_results.records import Contents

__all__ = [
    "CODING",
    "Pointer",
    "content_of",
    "is_offloaded",
    "pointers_in",
    "stayed",
    "stored_bytes",
    "to_text",
]

#: The coding's name, the last of those of a row.
CODING = "offload"

STAYED, WENT = b"\x00", b"\x01"


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """Where a content went, and how to know it again."""

    #: An alias of ``STORAGES``.
    storage: str
    name: str
    #: Bytes.
    size: int
    sha256: str

    def to_bytes(self) -> bytes:
        """Return what stands in the row."""
        return WENT + json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Pointer | None:
        """Return the pointer, or ``None`` for a content that stayed.

        Raises ``ValueError`` for what is neither.
        """
        if stored[:1] == STAYED:
            return None
        if stored[:1] != WENT:
            raise ValueError("it is neither a content nor a pointer")
        try:
            pointer = cls(**json.loads(stored[1:]))
        except (TypeError, RecursionError) as error:
            raise ValueError("a pointer lacks something, or has too much") from error
        if [str, str, int, str] != [type(one) for one in asdict(pointer).values()]:
            raise ValueError("a pointer has something else than it should")
        return pointer


def stayed(content: bytes) -> bytes:
    """Return what stands in the row for a content that stays there."""
    return STAYED + content


def stored_bytes(text: str) -> bytes:
    """Return what a text of a row stands for."""
    return b64decode(text, validate=True)


def to_text(stored: bytes) -> str:
    """Return the text for a row."""
    return b64encode(stored).decode("ascii")


def is_offloaded(contents: Contents) -> bool:
    """Return whether the coding was the last that was applied."""
    return contents.content_encoding.rpartition(",")[2].strip() == CODING


def pointers_in(contents: Contents) -> set[Pointer]:
    """Return the pointers among the contents; what is corrupt points nowhere."""
    if not is_offloaded(contents):
        return set()
    return {found for text in contents.fields.values() if (found := _pointer(text))}


def content_of(text: str | None) -> bytes | None:
    """Return a content that is in the row itself; ``None`` for what else may be there."""
    try:
        stored = stored_bytes(text) if text else b""
    except ValueError:
        # Such as the arguments of an earlier state, which were encoded otherwise.
        return None
    return stored[len(STAYED) :] if stored.startswith(STAYED) else None


def _pointer(text: str | None) -> Pointer | None:
    try:
        return Pointer.from_bytes(stored_bytes(text)) if text else None
    except ValueError:
        # Such as the arguments of an earlier state, which were encoded otherwise.
        return None
