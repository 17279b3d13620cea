"""The task whose results are stored: the same values for every contender."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any

NAME, WORKER = "benchmarks.tasks.add", "worker1@example"
ARGS, KWARGS = "(1, 2, 'three')", "{'key': 'value'}"
RESULT = {"value": 42, "text": "x" * 100, "list": list(range(10))}
#: The headers that the task was sent with; the plugin ``labels`` stores two rows of them.
HEADERS = {"labels": {"tenant": 3, "request_id": "7d5e9c4a"}}

#: Characters in the result of a row that will expire.
PAYLOAD = 1024

#: The least number of characters in the JSON of a report.
SIZES = {"1 kB": 1024, "100 kB": 100 * 1024, "5 MB": 5 * 1024**2}
#: The words in a report's notes.
WORDS = [
    "address", "again", "arrived", "asked", "before", "broken", "by", "called", "carrier", "change",
    "customer", "damaged", "delayed", "delivery", "for", "from", "has", "in", "invoice", "is",
    "late", "missing", "not", "offered", "on", "one", "open", "order", "paid", "parcel", "part",
    "price", "refund", "reply", "returned", "sent", "since", "street", "the", "third", "to",
    "twice", "until", "wants", "warehouse", "was", "when", "with", "wrong", "yesterday",
]  # fmt: skip


@cache
def report(size: int) -> list[dict[str, Any]]:
    """Return the rows of a report of orders, the same ones each time.

    Like real rows, they repeat keys and words, but not ids, amounts and references. So they
    compress neither like one repeated letter nor like noise.
    """
    random, rows, length = Random(size), list[dict[str, Any]](), 2
    while length < size:
        rows.append(_order(random, len(rows)))
        length += len(json.dumps(rows[-1])) + 2
    return rows


def _order(random: Random, number: int) -> dict[str, Any]:
    return {
        "id": 100_000 + number,
        "reference": f"{random.getrandbits(64):016x}",
        "ordered": f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
        "country": random.choice(["AT", "BE", "CH", "DE", "DK", "ES", "FR", "IT", "NL", "PL"]),
        "items": random.randint(1, 9),
        "total": random.randint(100, 50_000) / 100,
        "paid": random.choice([True, True, True, False]),
        "note": " ".join(random.choices(WORDS, k=random.randint(3, 15))),
    }
