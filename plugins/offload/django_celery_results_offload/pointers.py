"""The stored form of a content: the content itself, or a pointer to its blob.

Like the output of every coding, it is bytes, which the core stores as base64. The first
byte tells the two apart.
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

#: The coding's name, which is the last in the row's list of codings.
CODING = "offload"

STAYED, WENT = b"\x00", b"\x01"


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """The place of a blob, with its size and digest to check it."""

    #: The storage's alias in ``STORAGES``.
    storage: str
    name: str
    #: The blob's size in bytes.
    size: int
    sha256: str

    def to_bytes(self) -> bytes:
        """Return the stored form of the pointer."""
        return WENT + json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Pointer | None:
        """Return the pointer, or ``None`` if ``stored`` is the content itself.

        Raises ``ValueError`` if it is neither.
        """
        if stored[:1] == STAYED:
            return None
        if stored[:1] != WENT:
            raise ValueError("the stored bytes are neither a content nor a pointer")
        try:
            pointer = cls(**json.loads(stored[1:]))
        except (TypeError, RecursionError) as error:
            raise ValueError("a pointer has missing or unknown fields") from error
        if [str, str, int, str] != [type(one) for one in asdict(pointer).values()]:
            raise ValueError("a pointer has a field of the wrong type")
        return pointer


def stayed(content: bytes) -> bytes:
    """Return the stored form of a content that stays in the row."""
    return STAYED + content


def stored_bytes(text: str) -> bytes:
    """Return the bytes of a row's text."""
    return b64decode(text, validate=True)


def to_text(stored: bytes) -> str:
    """Return the text of these bytes for a row."""
    return b64encode(stored).decode("ascii")


def is_offloaded(contents: Contents) -> bool:
    """Return whether ``offload`` was the last coding applied."""
    return contents.content_encoding.rpartition(",")[2].strip() == CODING


def pointers_in(contents: Contents) -> set[Pointer]:
    """Return the pointers in the contents; a corrupt field counts as no pointer."""
    if not is_offloaded(contents):
        return set()
    return {found for text in contents.fields.values() if (found := _pointer(text))}


def content_of(text: str | None) -> bytes | None:
    """Return the content if it is in the row itself, and ``None`` otherwise."""
    try:
        stored = stored_bytes(text) if text else b""
    except ValueError:
        # For example, an earlier state's arguments, which have another encoding.
        return None
    return stored[len(STAYED) :] if stored.startswith(STAYED) else None


def _pointer(text: str | None) -> Pointer | None:
    try:
        return Pointer.from_bytes(stored_bytes(text)) if text else None
    except ValueError:
        # As in content_of().
        return None
