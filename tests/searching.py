"""Searches everything that a database keeps for words, plain or in base64."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from django.db import connection

__all__ = ["files", "is_in", "needles", "tables"]


def needles(word: str) -> list[bytes]:
    """The word, and its base64 forms for every position in the text."""
    raw = word.encode()
    found = [raw]
    for before in range(3):
        coded = b64encode(bytes(before) + raw)
        found.append(coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


def tables() -> bytes:
    """Every column of every row of every table."""
    dump = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            dump += cursor.fetchall()
    return repr(dump).encode()


def files() -> bytes:
    """The database file and the files next to it, empty if the files belong to a server."""
    path = Path(str(connection.settings_dict["NAME"]))
    if connection.vendor != "sqlite":
        return b""
    found = sorted(path.parent.glob(f"{path.name}*"))
    assert found
    return b"".join(one.read_bytes() for one in found)


def is_in(word: str, *places: bytes) -> bool:
    """Whether the word is in one of the places."""
    return any(needle in place for needle in needles(word) for place in places)
