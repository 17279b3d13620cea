"""Compare the serializers of the plugin ``msgspec`` with Celery's JSON: ratios of medians.

``python -m benchmarks.serializers`` needs the plugin installed, and no server. Below 1 is faster
than Celery's JSON, which does the same in the same round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from statistics import median
from typing import Any
from uuid import UUID

from kombu.utils import json as celery_json

from django_celery_results_msgspec import plugin as ours

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
    """Return how long so many calls take."""
    started = time.perf_counter()
    for _ in range(calls):
        function(argument)
    return time.perf_counter() - started


def ratio(functions: Sequence[Callable[[Any], Any]], arguments: Sequence[Any], rounds: int) -> str:
    """Return the first function's time by the second's: the median of rounds."""
    calls = max(1, int(0.01 / max(seconds(functions[1], arguments[1], 3) / 3, 1e-7)))
    ratios = []
    for _ in range(rounds):
        mine, celerys = (
            seconds(one, argument, calls)
            for one, argument in zip(functions, arguments, strict=True)
        )
        ratios.append(mine / celerys)
    return f"{median(ratios):.2f}"


def rows(rounds: int) -> Iterator[list[str]]:
    """Yield a row for each payload: to write it and to read it, with each serializer."""
    for name, value in PAYLOADS.items():
        written = CELERY[0](value)
        row = [name]
        for encode, decode in OURS.values():
            row.append(ratio([encode, CELERY[0]], [value, value], rounds))
            row.append(ratio([decode, CELERY[1]], [encode(value), written], rounds))
        yield row


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serializers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of a hundredth of a second each")
    options = parser.parse_args(arguments)
    print_table(
        ["", *(f"{name}: {done}" for name in OURS for done in ("write", "read"))],
        rows(options.rounds),
    )


if __name__ == "__main__":
    main()
