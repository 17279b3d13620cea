"""Contents that the serializers read, and contents that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest

from django_celery_results_msgspec.plugin import (
    decode_json,
    decode_msgpack,
    encode_json,
    encode_msgpack,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text", ['{"a": 1', "[1,]", "\ufeff1", '"\x01"', '{"__type__":"nothing","__value__":1}']
)
def test_corrupt_json_is_an_error(text: str) -> None:
    """It is not repaired by guessing."""
    with pytest.raises(ValueError, match=r"char \d+|Unexpected UTF-8 BOM|Unsupported type"):
        decode_json(text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x92\x01", "truncated"),
        (b"\x01\x02", "trailing characters"),
        (b"\xc1", "malformed"),
        (b"\xd4\x05x", "the MessagePack extension 5 is not one"),
        (b"\xd4\x01x", "Expecting value"),
        (b"\x82\xa8__type__\x01\xa9__value__\x02", "Unsupported type"),
    ],
)
def test_corrupt_msgpack_is_an_error(content: bytes, says: str) -> None:
    """The same for bytes."""
    with pytest.raises((ValueError, msgspec.DecodeError), match=says):
        decode_msgpack(content)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_type_of_bytes_is_read(kind: Callable[[bytes], Any]) -> None:
    """Kombu's transports return all of these if the serializer is used for messages."""
    value = [NOON, "é"]
    assert [value, value] == [
        decode_json(kind(encode_json(value).encode())),
        decode_msgpack(kind(encode_msgpack(value))),
    ]
