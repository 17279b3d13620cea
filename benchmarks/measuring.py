"""Measures all figures of one database: starts, compares, probes and ends the contenders."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comparing import PLAN, Rounds, compare, figures_of, probe
from .environments import RELEASE, environment_of, workplace
from .process import Process, running

__all__ = ["Measurement", "profile"]

KINDS = ("ours", RELEASE, "floor", "redis", "db+")


@dataclass(frozen=True)
class Measurement:
    """What to measure: which work, how much of it, and by which contenders."""

    database: str
    works: Sequence[str]
    #: 1 is all of the work, 0.1 a tenth of the tasks and rounds.
    scale: float
    pythons: Mapping[str, Path]

    def plan(self, work: str) -> Rounds:
        """Return the rounds of a piece of work, scaled."""
        plan = PLAN[work].scaled(self.scale)
        # A group and a chord keep their size at every scale.
        smaller = work == "expire"
        return Rounds(round(plan.count * min(1.0, self.scale)), plan.rounds) if smaller else plan

    def run(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures of the database, and the versions of the measured packages."""
        with workplace(self.pythons["ours"], self.database) as directory:
            found = {kind: self.pythons[interpreter(kind)] for kind in KINDS}
            with running(found, self.database, directory) as contenders:
                works = {work: self._figures(work, contenders) for work in self.works}
                server = contenders["ours"].server
                versions = {kind: contenders[kind].versions for kind in ("ours", RELEASE)}
            measured: dict[str, Any] = {"server": server, "work": works}
            store = works.get("store_new", {}).pop("seconds", None)
            if store is not None:
                measured["hooks_share"] = self._hooks_share(directory, store)
        return measured, versions

    def _figures(self, work: str, contenders: Mapping[str, Process]) -> dict[str, Any]:
        plan = self.plan(work)
        times = compare(work, plan, contenders.values())
        figures = figures_of(times) | probe(work, plan.count, contenders)
        if work == "store_new":
            # The base of the hooks' share; readers have other machines, so it is not published.
            figures["seconds"] = statistics.median(times["ours"])
        return figures

    def _hooks_share(self, directory: Path, store: float) -> dict[str, float]:
        """Return the time that the hooks add, as a percentage of the time that a store takes."""
        done = subprocess.run(
            [self.pythons["ours"], "-m", "benchmarks.hooks"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env=environment_of("hooks", self.database, directory),
        )
        added = json.loads(done.stdout)
        return {name: round(each / 1e6 / store * 100, 2) for name, each in added.items()}


def interpreter(kind: str) -> str:
    """Return the kind of environment that a contender runs in."""
    return "ours" if kind in {"ours", "floor"} else RELEASE


def profile(database: str, work: str, python: Path) -> None:
    """Print where this checkout spends its time during one piece of work."""
    with (
        workplace(python, database) as directory,
        running({"ours": python}, database, directory) as contenders,
    ):
        contenders["ours"].ask("profile", work, PLAN[work].count)
