"""The task whose results are stored: the same values for every contender."""

from __future__ import annotations

NAME, WORKER = "benchmarks.tasks.add", "worker1@example"
ARGS, KWARGS = "(1, 2, 'three')", "{'key': 'value'}"
RESULT = {"value": 42, "text": "x" * 100, "list": list(range(10))}

#: Characters of the result of a row that is to expire.
PAYLOAD = 1024
