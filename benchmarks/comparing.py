"""Compares the contenders: each does every piece of work, in turn, in short rounds.

Other load on the machine slows everything down for a while. In a short round it affects all
contenders alike, so their times are divided within the round. The reported ratio is the median
of the rounds' ratios, and the quartiles show how far the ratios differ.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .environments import RELEASE

if TYPE_CHECKING:
    from .process import Process

__all__ = ["PLAN", "Rounds", "compare", "figures_of", "probe", "ratios", "spread"]

Times = dict[str, list[float]]


@dataclass(frozen=True)
class Rounds:
    """The number of rounds of a piece of work, and the number of tasks in each."""

    count: int
    rounds: int

    def scaled(self, scale: float) -> Rounds:
        """Return that share of the rounds, but at least three, with as many tasks in each."""
        return replace(self, rounds=max(3, round(self.rounds * scale)))


PLAN = {
    "store_new": Rounds(50, 60),
    "store_existing": Rounds(50, 60),
    "read_one": Rounds(50, 60),
    "read_group": Rounds(1000, 9),
    "chord_part": Rounds(200, 9),
    "expire": Rounds(50_000, 5),
}


def compare(work: str, plan: Rounds, contenders: Iterable[Process]) -> Times:
    """Return the seconds of each contender in each round, per task."""
    able = [one for one in contenders if work in one.works]
    times: Times = {one.kind: [] for one in able}
    for number in range(plan.rounds + 1):
        # The first one may meet a server that is still busy with the work of the last one.
        turn = number % len(able)
        for one in able[turn:] + able[:turn]:
            seconds = one.ask("measure", work, plan.count)["seconds"]
            if number:  # The first round warms caches and prepared statements.
                times[one.kind].append(seconds / plan.count)
    return times


def ratios(times: Times, to: str) -> dict[str, list[float]]:
    """Return the time of each other contender divided by the time of ``to``: see :func:`spread`."""
    return {
        kind: spread([one / base for one, base in zip(rounds, times[to], strict=True)])
        for kind, rounds in times.items()
        if kind != to
    }


def spread(values: list[float]) -> list[float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return [round(values[0], 3)] * 3
    return [round(one, 3) for one in statistics.quantiles(values, n=4, method="inclusive")]


def figures_of(times: Times) -> dict[str, Any]:
    """Return the ratios to the floor and to this checkout."""
    return {"to_floor": ratios(times, "floor"), "to_ours": ratios(times, "ours")}


def probe(
    work: str,
    count: int,
    contenders: Mapping[str, Process],
    kinds: Sequence[str] = ("ours", RELEASE),
) -> dict[str, Any]:
    """Return the exact figures: statements per task; for expiry, memory and longest one too."""
    found: dict[str, Any] = {"statements": {}}
    for kind in kinds:
        seen = contenders[kind].ask("probe", work, count)
        found["statements"][kind] = round(seen["statements"] / seen["tasks"], 4)
        if work == "expire":
            found.setdefault("longest_ms", {})[kind] = round(seen["longest"] * 1000, 1)
    if work == "expire":
        able = [one for one in contenders.values() if work in one.works]
        found["growth_mb"] = {one.kind: _growth(one, count) for one in able}
    return found


def _growth(contender: Process, count: int) -> float | None:
    """Return by how many MB peak memory grows if the number of rows triples from ``count``."""
    peaks = [contender.ask("probe", "expire", n)["peak"] for n in (count, 3 * count)]
    return None if None in peaks else round(peaks[1] - peaks[0], 1)
