"""The figures that this checkout has to reach, and whether it reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .environments import RELEASE

__all__ = ["TARGETS", "Target", "targets_for"]

DATABASES = ("sqlite", "postgresql", "mariadb")


@dataclass(frozen=True)
class Target:
    """A limit for one figure of one piece of work on one database."""

    database: str
    work: str
    #: A column of the tables: see :func:`Target.value`.
    figure: str
    limit: float

    def value(self, figures: dict[str, Any]) -> float | None:
        """Return the figure from those of the database, or ``None`` if it was not measured."""
        value: float | None
        if self.figure == "share":
            value = figures.get("hooks_share", {}).get(self.work)
            return value
        found = figures["work"].get(self.work)
        if found is None:
            return None
        match self.figure:
            case "to_floor":
                value = found["to_floor"]["ours"][1]
            case "faster":
                value = found["to_ours"][RELEASE][1]
            case _:
                value = found[self.figure]["ours"]
        return value

    def reached(self, value: float) -> bool:
        """Return whether ``value`` is within the limit."""
        return value >= self.limit if self.figure == "faster" else value <= self.limit


def _each(work: str, figure: str, *limits: float | None) -> Iterator[Target]:
    """Yield the targets of a figure on SQLite, PostgreSQL and MariaDB; ``None``: no target."""
    for database, limit in zip(DATABASES, limits, strict=True):
        if limit is not None:
            yield Target(database, work, figure, limit)


TARGETS = [
    *_each("store_new", "to_floor", 1.3, 1.5, 1.7),
    *_each("store_existing", "to_floor", 1.3, 1.5, 1.7),
    *_each("store_new", "faster", 1.5, 2.2, 2.0),
    *_each("store_existing", "faster", 1.5, 2.2, 2.0),
    *_each("read_one", "to_floor", None, 1.8, None),
    *_each("read_one", "faster", 2.0, 2.0, 2.0),
    *_each("read_group", "to_floor", None, 5.0, None),
    *_each("read_group", "faster", 10.0, 10.0, 10.0),
    *_each("read_group", "statements", 0.001, 0.001, 0.001),
    *_each("store_new", "statements", 1.0, 1.0, 1.0),
    *_each("store_existing", "statements", 1.0, 1.0, 1.0),
    *_each("chord_part", "statements", 3.0, 2.0, 3.0),
    *_each("chord_part", "faster", 3.0, 3.0, 3.0),
    *_each("expire", "to_floor", None, 2.0, None),
    *_each("expire", "faster", None, 5.0, None),
    *_each("expire", "longest_ms", None, 250.0, None),
    # Memory should not grow, but the allocator's share differs a little between runs.
    *_each("expire", "growth_mb", None, 2.0, None),
    *_each("idle_0", "share", None, 3.0, None),
    *_each("idle_10", "share", None, 8.0, None),
]


def targets_for(database: str) -> dict[tuple[str, str], Target]:
    """Return the targets on ``database`` by piece of work and figure."""
    return {(one.work, one.figure): one for one in TARGETS if one.database == database}
