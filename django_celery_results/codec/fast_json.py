"""Kombu's JSON, with its encoder and its decoder made once.

Kombu makes one for each value. That, and the way to it through the registry, takes longer
than to write or to read a result of the usual size.

A site may have registered another serializer for JSON. Only two private names of Kombu's registry
tell: ``_encoders`` and ``_decoders``. The package uses no other private names of Kombu. Without
these two, the registry writes and reads everything, which is slower.
"""

from __future__ import annotations

import json
from typing import Any

from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs
from kombu.utils import json as kombu_json

__all__ = ["CONTENT_TYPE", "dumps", "loads", "reads", "writes"]

CONTENT_TYPE = "application/json"

_encoder = kombu_json.JSONEncoder()
_decoder: Any = json.JSONDecoder(object_hook=kombu_json.object_hook)

#: Returns the JSON of a value as Kombu's own serializer does; raises whatever is wrong.
dumps = _encoder.encode


def writes(serializer: str) -> bool:
    """Return whether what Kombu writes under that name is the JSON that is written here."""
    codec = getattr(registry, "_encoders", {}).get(serializer)
    return getattr(codec, "encoder", None) is kombu_json.dumps


def reads() -> bool:
    """Return whether Kombu would read JSON as it is read here."""
    return getattr(registry, "_decoders", {}).get(CONTENT_TYPE) is kombu_json.loads


def loads(text: str) -> Any:
    """Return the value of ``text``; raise ``ValueError`` for all that is not JSON alone."""
    value, end = _decoder.raw_decode(text)
    if end != len(text):
        raise ValueError(f"there is more behind the JSON, at {end}")
    return value
