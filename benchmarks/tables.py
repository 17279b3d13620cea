"""The figures as tables of text, for the terminal and for the documentation."""

from __future__ import annotations

from typing import Any

from .environments import PLUGGED, RELEASE
from .targets import Target, targets_for

__all__ = [
    "CONDITIONS",
    "FACTS",
    "PLUGINS",
    "SERIALIZERS",
    "SIZES",
    "TIMES",
    "WORKERS",
    "Rows",
    "condition_rows",
    "fact_rows",
    "plugin_rows",
    "serializer_rows",
    "size_rows",
    "time_rows",
    "worker_rows",
]

TITLES = {
    "store_new": "store a result: new row",
    "store_existing": "store a result: existing row",
    "read_one": "read one result",
    "read_group": "read a group of 1,000, per task",
    "chord_part": "chord part stored and returned",
    "expire": "expire rows of 1 kB, per row",
}
#: Headings of the tables.
TIMES = (
    "work", "ours ÷ floor", "target", "2.6.0 ÷ floor", "2.6.0 ÷ ours", "target",
    "redis ÷ ours", "db+ ÷ ours",
)  # fmt: skip
FACTS = ("what", "ours", "2.6.0", "target")
WORKERS = ("backend", "÷ no results", "÷ 2.6.0")
PLUGINS = (
    "active", "store ÷ core", "statements of a store", "read ÷ core", "statements of a read",
)  # fmt: skip
SIZES = (
    "result", "active", "table ÷ core", "with blobs ÷ core", "store ÷ core", "read ÷ core",
)  # fmt: skip
SERIALIZERS = (
    "value", "msgspec-json: write", "read", "msgspec-msgpack: write", "read",
)  # fmt: skip
CONDITIONS = ("what", "which")

Rows = list[tuple[str, ...]]


def time_rows(database: str, figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`TIMES`: medians of ratios, ours with the quartiles."""
    targets = targets_for(database)
    rows: Rows = []
    for work, found in figures["work"].items():
        floor, ours = found["to_floor"], found["to_ours"]
        rows.append(
            (
                TITLES[work],
                _with_quartiles(floor["ours"]),
                _verdict(targets.get((work, "to_floor")), figures),
                _median(floor.get(RELEASE)),
                _with_quartiles(ours[RELEASE]),
                _verdict(targets.get((work, "faster")), figures),
                _median(ours.get("redis")),
                _median(ours.get("db+")),
            )
        )
    return rows


def fact_rows(database: str, figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`FACTS`: statements, memory, and the share of the hooks."""
    targets = targets_for(database)
    rows: Rows = []
    for work, found in figures["work"].items():
        for figure, title in (
            ("statements", "statements per task"),
            ("longest_ms", "longest statement, ms"),
            ("growth_mb", "more memory for three times the rows, MB"),
        ):
            if figure in found:
                values = found[figure]
                verdict = _verdict(targets.get((work, figure)), figures)
                one = (_number(values["ours"]), _number(values[RELEASE]), verdict)
                rows.append((f"{TITLES[work]}: {title}", *one))
    for name, share in figures.get("hooks_share", {}).items():
        title = f"hooks with {name.removeprefix('idle_')} idle plugins, % of a store"
        verdict = _verdict(targets.get((name, "share")), figures)
        rows.append((title, _number(share), "", verdict))
    return rows


def worker_rows(figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`WORKERS`: tasks per second of a real worker, as ratios."""
    return [
        (kind, _with_quartiles(found["to_ceiling"]), _with_quartiles(found["to_release"]))
        for kind, found in figures.items()
    ]


def plugin_rows(figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`PLUGINS`: what each plugin adds to a small result."""
    store, read = (figures["work"][work] for work in ("store_new", "read_one"))
    return [
        (
            kind,
            *(
                cell
                for found in (store, read)
                for cell in (
                    _with_quartiles(found["to_core"].get(kind)),
                    _number(found["statements"][kind]),
                )
            ),
        )
        for kind in store["statements"]
    ]


def size_rows(figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`SIZES`: bytes and times of large results."""
    rows: Rows = [
        (
            size,
            kind,
            _share(found["table"][kind]),
            _share(found["table"][kind] + found["blobs"][kind]),
            _with_quartiles(found["store"][kind]),
            _with_quartiles(found["read"][kind]),
        )
        for size, found in figures["sizes"].items()
        for kind in found["store"]
    ]
    return rows + [(size, "", *["more than the server takes"] * 4) for size in figures["left_out"]]


def serializer_rows(figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`SERIALIZERS`: times divided by those of Celery's JSON."""
    return [
        (value, *(_median(quartiles) for times in found.values() for quartiles in times.values()))
        for value, found in figures.items()
    ]


def condition_rows(figures: dict[str, Any]) -> Rows:
    """Return the rows below :data:`CONDITIONS`: versions, and the machine's relevant facts."""
    rows: Rows = [(name, str(value)) for name, value in figures["machine"].items()]
    for database, found in figures["databases"].items():
        rows.append((database, found["server"]))
    versions = figures["versions"]
    for name, ours in versions["ours"].items():
        theirs = versions[RELEASE].get(name, ours)
        rows.append((name, ours if ours == theirs else f"{ours}, compared with {theirs}"))
    plugged = versions[PLUGGED].items()
    return rows + [(name, number) for name, number in plugged if name not in versions["ours"]]


def _verdict(target: Target | None, figures: dict[str, Any]) -> str:
    if target is None:
        return ""
    limit = f"{'≥' if target.figure == 'faster' else '≤'} {target.limit:g}"
    value = target.value(figures)
    if value is None:
        return limit
    return f"{limit} {'✓' if target.reached(value) else '✗'}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _share(value: float) -> str:
    return f"{value:.2f}" if round(value, 2) else "< 0.01"


def _median(quartiles: list[float] | None) -> str:
    return "" if quartiles is None else f"{quartiles[1]:.2f}"


def _with_quartiles(quartiles: list[float] | None) -> str:
    if quartiles is None:
        return ""
    low, median, high = quartiles
    return f"{median:.2f} ({low:.2f}-{high:.2f})"
