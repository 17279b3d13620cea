"""Notes that tasks leave for the tests in files, independent of everything under test."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests import settings

DIRECTORY = settings.RUN_DIRECTORY / "notes"


def write(key: str, line: str) -> None:
    """Append one line; several processes may do so at once."""
    DIRECTORY.mkdir(exist_ok=True)
    with (DIRECTORY / key).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def read(key: str) -> list[str]:
    """Return the lines, oldest first."""
    path = DIRECTORY / key
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def eventually(condition: Callable[[], bool], timeout: float = 20, pause: float = 0.02) -> None:
    """Return once the condition holds; raise ``TimeoutError`` after ``timeout`` seconds.

    The condition is checked every ``pause`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout} seconds")
        time.sleep(pause)


def wait_for(key: str, count: int = 1, timeout: float = 20, settle: float = 0.0) -> list[str]:
    """Wait for ``count`` lines and then ``settle`` seconds more, and return all lines.

    Raises ``TimeoutError`` after ``timeout`` seconds.
    """
    eventually(lambda: len(read(key)) >= count, timeout)
    time.sleep(settle)
    return read(key)
