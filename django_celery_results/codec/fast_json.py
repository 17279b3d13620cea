"""Kombu's JSON, with one encoder and one decoder for all values.

Kombu makes new ones for each value. That, and the lookup in its registry, take longer than
writing or reading a result of the usual size.

A site may have registered another serializer for JSON. Two private names of Kombu's registry
tell, ``_encoders`` and ``_decoders``; the package uses no other private name of Kombu. Without
them, Kombu's registry writes and reads everything, which is slower.
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

#: Returns the JSON of a value like Kombu's own serializer; raises the encoder's own errors.
dumps = _encoder.encode


def writes(serializer: str) -> bool:
    """Return whether Kombu's serializer of that name writes the same JSON as this module."""
    codec = getattr(registry, "_encoders", {}).get(serializer)
    return getattr(codec, "encoder", None) is kombu_json.dumps


def reads() -> bool:
    """Return whether Kombu reads JSON in the same way as this module."""
    return getattr(registry, "_decoders", {}).get(CONTENT_TYPE) is kombu_json.loads


def loads(text: str) -> Any:
    """Return the value of ``text``; raise ``ValueError`` unless it is JSON and nothing more."""
    value, end = _decoder.raw_decode(text)
    if end != len(text):
        raise ValueError(f"the JSON is followed by other text, at position {end}")
    return value
