"""Text for a terminal: tables that fit its width, and values as a person writes them."""

from __future__ import annotations

import shutil
from ast import literal_eval
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BAR = 20  # characters
GAP = "  "
TIME = 6  # characters


def screen_width() -> int:
    """Return the terminal's width in characters: 80 where the output is a file or a pipe."""
    return shutil.get_terminal_size().columns


def shorten(text: str, width: int) -> str:
    """Return ``text`` on one line of at most ``width`` characters, cut with an ellipsis."""
    line = " ".join(text.split("\n"))
    return line if len(line) <= width else f"{line[: max(width - 1, 0)].rstrip()}…"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return the lines of a table that is at most ``width`` characters wide."""
    cells = [headings, *rows]
    widths = fit([max(map(len, column)) for column in zip(*cells, strict=True)], width)
    return [
        GAP.join(
            shorten(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def fit(widths: Sequence[int], total: int) -> list[int]:
    """Return the columns' ``widths``, the widest reduced until the table fits in ``total``."""
    fitted = list(widths)
    available = max(total - len(GAP) * (len(fitted) - 1), len(fitted))
    while sum(fitted) > available:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def value_text(value: Any) -> str:
    """Return a task's value or exception as a person writes it, without quotes or brackets."""
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}".removesuffix(": ")
    return str(value)


def call_text(name: str, arguments: str) -> str:
    """Return ``add(2, 3)`` for the task ``demo_site.tasks.add`` and the arguments ``(2, 3)``.

    ``arguments`` is the text that Celery stores: the `repr` of a tuple.
    """
    return f"{name.rpartition('.')[2]}({', '.join(map(repr, literal_eval(arguments)))})"


def time_text(seconds: float | None) -> str:
    """Return a length of time in milliseconds, or in seconds from one second up."""
    if seconds is None:
        return ""
    text = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
    return text.rjust(TIME)


def progress_bar(progress: Mapping[str, int]) -> str:
    """Return a bar for progress such as ``{"done": 1, "of": 4}``."""
    filled = BAR * progress["done"] // progress["of"]
    bar = f"{'█' * filled}{'░' * (BAR - filled)}"
    return f"{bar} {progress['done']} of {progress['of']}"
