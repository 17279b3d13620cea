"""Kombu's JSON, with one encoder and one decoder for all values.

Kombu makes new ones for each value. That, and the lookup in its registry, take longer than
writing or reading a result of the usual size.
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


# A site may have registered another serializer for JSON, and Kombu offers no public way to ask.
# If a later Kombu lacks these private attributes, its registry reads and writes everything.


def writes(serializer: str) -> bool:
    """Return whether Kombu's serializer of that name writes the same JSON as this module."""
    codec = getattr(registry, "_encoders", {}).get(serializer)
    return codec is not None and codec.encoder is kombu_json.dumps


def reads() -> bool:
    """Return whether Kombu reads JSON in the same way as this module."""
    return getattr(registry, "_decoders", {}).get(CONTENT_TYPE) is kombu_json.loads


def loads(text: str) -> Any:
    """Return the value of ``text``; raise ``ValueError`` unless it is JSON and nothing more."""
    value, end = _decoder.raw_decode(text)
    if end != len(text):
        raise ValueError(f"the JSON is followed by other text, at position {end}")
    return value
