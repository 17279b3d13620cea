"""The body of a chord, as Celery's signature: what is stored of it, and what it would run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["leaf_signatures", "plain"]

#: The kinds of signature that only hold others, and under which argument (Celery's
#: ``canvas``; the kind is a signature's ``subtask_type``).
CANVASES: Mapping[str, tuple[str, ...]] = {
    "chain": ("tasks",),
    "group": ("tasks",),
    "chord": ("header", "body"),
}


def plain(value: Any) -> Any:
    """Return ``value`` with plain dicts and lists in it, which every serializer takes."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def leaf_signatures(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the single tasks in a signature, or in a list of them: canvases are opened."""
    if not isinstance(value, Mapping):
        for one in value or ():
            yield from leaf_signatures(one)
    elif value.get("subtask_type") in CANVASES:
        for argument in CANVASES[value["subtask_type"]]:
            yield from leaf_signatures(value["kwargs"][argument])
    else:
        yield value
