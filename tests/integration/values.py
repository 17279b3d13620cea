"""Values of every type that tasks return, and exceptions that they raise."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "false": False,
    "zero": 0,
    "negative": -273,
    "large int": 2**53 + 1,
    "huge int": 2**80,
    "float": 0.1,
    "empty text": "",
    "text": "the quick brown fox",
    "unicode": "Übergrößenträger, 日本語, العربية",
    "emoji": "🎉👩🏽‍🚀",
    "quotes": 'it\'s "so" \\ so\nand\tso',
    "nul": "before\x00after",
    "surrogate": "lone \ud800 surrogate",
    "long text": "x" * 100_000,
    "list": [1, "two", None, [3.5, [True]]],
    "empty list": [],
    "dict": {"a": 1, "b": {"c": [1, 2, {"d": None}]}},
    "empty dict": {},
    "nested unicode": {"größe": ["日\x00本", {"🔑": "🎉"}]},
    "tuple": (1, 2),
    "date": date(2024, 2, 29),
    "time": time(23, 59, 58),
    "datetime": datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=timezone.utc),
    "decimal": Decimal("10.010"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "bytes": b"\x00\xff binary",
    "set": {1, 2, 3},
    "complex": 1 + 2j,
}


class SorryError(Exception):
    """A custom exception with several arguments."""


class Outer:
    """A class that contains an exception class."""

    class InnerError(Exception):
        """An exception whose qualified name has a dot."""


EXCEPTIONS: dict[str, Exception] = {
    "builtin": ValueError("wrong"),
    "key": KeyError("missing"),
    "none": RuntimeError(),
    "unicode": ValueError("größer 🎉"),
    "nul": ValueError("before\x00after"),
    "custom": SorryError("so", 3, None),
    "nested": Outer.InnerError("inside"),
    "long": ValueError("x" * 10_000),
}
