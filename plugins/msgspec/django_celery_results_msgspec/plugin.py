"""The plugin's hooks: the serializers ``msgspec-json`` and ``msgspec-msgpack``.

Both return the same values as Celery's own JSON. msgspec reads and writes the types that
JSON has; other types are marked as in Kombu's JSON. Values that msgspec cannot hold (NaN,
half a surrogate pair, in MessagePack a number of more than 64 bits) are left to Kombu's JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from kombu.utils import json as kombu_json

from django_celery_results import hookimpl
from django_celery_results.records import Serializer

from .marking import TYPE, MarkingEncoder, marked, unmarked

__all__ = ["decode_json", "decode_msgpack", "encode_json", "encode_msgpack"]

#: The MessagePack extension type that contains a whole value as Kombu's JSON.
JSON_EXTENSION = 1

#: Types that msgspec writes the same way as Kombu's JSON; MessagePack also has bytes.
JSON_LEAVES: frozenset[type] = frozenset({str, int, bool, type(None)})
MSGPACK_LEAVES: frozenset[type] = JSON_LEAVES | {bytes}

#: Errors for values that msgspec cannot hold, although Python's JSON may.
BEYOND_MSGSPEC = (OverflowError, UnicodeEncodeError, RecursionError)

_json_writer = msgspec.json.Encoder()
_json_reader = msgspec.json.Decoder()
_msgpack_writer = msgspec.msgpack.Encoder()


@hookimpl
def contribute_serializers() -> Iterable[Serializer]:
    """Contribute both serializers."""
    yield Serializer(
        name="msgspec-json",
        encode=encode_json,
        decode=decode_json,
        content_type="application/x-msgspec+json",
    )
    yield Serializer(
        name="msgspec-msgpack",
        encode=encode_msgpack,
        decode=decode_msgpack,
        content_type="application/x-msgspec+msgpack",
        content_encoding="binary",
    )


def encode_json(value: Any) -> str:
    """Return ``value`` as JSON; raise ``TypeError`` for a type that JSON cannot hold."""
    try:
        return _json_writer.encode(marked(value, JSON_LEAVES)).decode()
    except BEYOND_MSGSPEC:
        return kombu_json.dumps(value, cls=MarkingEncoder)


def decode_json(content: str | bytes) -> Any:
    """Return the value of JSON that :func:`encode_json` or Kombu wrote."""
    text = content if isinstance(content, str) else bytes(content).decode()
    try:
        value = _json_reader.decode(text)
    except (msgspec.DecodeError, RecursionError):
        # NaN, for example. For text that is not JSON, this error names the position.
        return kombu_json.loads(text)
    return unmarked(value) if TYPE in text else value


def encode_msgpack(value: Any) -> bytes:
    """Return ``value`` as MessagePack; raise ``TypeError`` for a type that it cannot hold."""
    try:
        return _msgpack_writer.encode(marked(value, MSGPACK_LEAVES))
    except BEYOND_MSGSPEC:
        text = kombu_json.dumps(value, cls=MarkingEncoder)
        return _msgpack_writer.encode(msgspec.msgpack.Ext(JSON_EXTENSION, text.encode()))


def decode_msgpack(content: bytes) -> Any:
    """Return the value of MessagePack that :func:`encode_msgpack` wrote."""
    value = _msgpack_reader.decode(content)
    return unmarked(value) if TYPE.encode() in bytes(content) else value


def _extension(code: int, data: memoryview) -> Any:
    if code != JSON_EXTENSION:
        raise ValueError(f"the MessagePack extension {code} is not one that this plugin writes")
    return kombu_json.loads(bytes(data))


_msgpack_reader = msgspec.msgpack.Decoder(ext_hook=_extension)
