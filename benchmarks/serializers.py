"""Compares the serializers of the plugin ``msgspec`` with Celery's JSON: ratios of medians.

``python -m benchmarks.serializers`` needs the plugin installed, and no server. A ratio below 1
is faster than Celery's JSON, which does the same in the same round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from kombu.utils import json as celery_json

from django_celery_results_msgspec import plugin as ours

from . import figures, tables
from .comparing import spread
from .terminal import print_table

__all__ = ["main"]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
PAYLOADS: Mapping[str, Any] = {
    "a number": 42,
    "a small dict": {"ok": True, "count": 3, "message": "done"},
    "1000 numbers": list(range(1000)),
    "300 rows": [
        {"id": number, "name": f"row {number}", "price": number / 3, "tags": ["a", "b"]}
        for number in range(300)
    ],
    "100 rows with dates": [
        {"id": UUID(int=number), "at": NOON, "price": Decimal("1.20"), "name": "row"}
        for number in range(100)
    ],
    "30 kB of text": "word é " * 4000,
}

Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
CELERY: Codec = (celery_json.dumps, celery_json.loads)
OURS: Mapping[str, Codec] = {
    "msgspec-json": (ours.encode_json, ours.decode_json),
    "msgspec-msgpack": (ours.encode_msgpack, ours.decode_msgpack),
}


def seconds(function: Callable[[Any], Any], argument: Any, calls: int) -> float:
    """Return the seconds that so many calls take."""
    started = time.perf_counter()
    for _ in range(calls):
        function(argument)
    return time.perf_counter() - started


def ratio(
    functions: Sequence[Callable[[Any], Any]], arguments: Sequence[Any], rounds: int
) -> list[float]:
    """Return the first function's time divided by the second's: see :func:`spread`."""
    calls = max(1, int(0.01 / max(seconds(functions[1], arguments[1], 3) / 3, 1e-7)))
    ratios = []
    for _ in range(rounds):
        mine, celerys = (
            seconds(one, argument, calls)
            for one, argument in zip(functions, arguments, strict=True)
        )
        ratios.append(mine / celerys)
    return spread(ratios)


def measured(value: Any, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the ratios of each serializer for writing and for reading a value."""
    written = CELERY[0](value)
    return {
        name: {
            "write": ratio([encode, CELERY[0]], [value, value], rounds),
            "read": ratio([decode, CELERY[1]], [encode(value), written], rounds),
        }
        for name, (encode, decode) in OURS.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serializers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="rounds of a hundredth of a second")
    parser.add_argument("--json", type=Path, help="merge the figures into this file")
    options = parser.parse_args(arguments)
    found = {name: measured(value, options.rounds) for name, value in PAYLOADS.items()}
    print_table(tables.SERIALIZERS, tables.serializer_rows(found))
    if options.json:
        figures.merge(options.json, {"serializers": found})


if __name__ == "__main__":
    main()
