"""Groups and chains that succeed."""

from __future__ import annotations

from celery import chain, chord, group

from tests.integration.tasks import add, both, echo, nap, total

from .parts import Canvas, noted

__all__ = ["CHAINS", "GROUPS"]

GROUPS: dict[str, Canvas] = {
    "group": lambda _: group(nap.s(0.1, 0), add.s(1, 1), add.s(2, 2)),
    "group of one": lambda _: group(add.s(1, 1)),
    "group of none": lambda _: group([]),
    "group of a generator": lambda _: group(add.s(i, i) for i in range(4)),
    "group in a group": lambda _: group(group(echo.s(1), echo.s(2)), group(group(echo.s(3)))),
    "group of chains": lambda _: group(chain(add.s(i, i), add.s(10)) for i in range(3)),
    "group of chords": lambda key: group(
        chord([echo.s(i), echo.s(i + 1)], noted(key)) for i in (1, 5)
    ),
}

CHAINS: dict[str, Canvas] = {
    "chain": lambda key: chain(add.s(1, 1), add.s(3), noted(key)),
    "chain of one": lambda _: chain(add.s(1, 1)),
    "chain of none": lambda _: chain(),
    "chain of chains": lambda _: chain(chain(add.s(1, 1), add.s(2)), chain(add.s(3), add.s(4))),
    "chain of groups": lambda key: chain(
        group(echo.s(1), echo.s(2)), group(total.s(), echo.s()), noted(key)
    ),
    "chain that ends in a group": lambda _: chain(add.s(1, 1), group(add.s(10), add.s(20))),
    "chain that ends in a group of one": lambda _: chain(add.s(1, 1), group(add.s(10))),
    "chain that starts with a group": lambda key: chain(group(echo.s(1), echo.s(2)), noted(key)),
    "chain with an immutable task": lambda key: chain(echo.s(1), add.si(20, 3), noted(key)),
    "chain with partial arguments": lambda _: chain(echo.s(1), both.s("x"), both.s(second="y")),
}
