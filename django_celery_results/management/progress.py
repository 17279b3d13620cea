"""A progress bar for the actions of ``manage.py celery_results``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

__all__ = ["INTERRUPTED", "progress"]

#: Exit status of a command that Ctrl-C ended (bash manual: 128 plus the signal number).
INTERRUPTED = 130

BAR_WIDTH = 30


@contextmanager
def progress(
    command: BaseCommand, count: Callable[[], int], *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows how many rows are done, but only on a terminal.

    ``count`` returns the total number of rows. It is called only if the progress is shown.
    """
    if quiet or not command.stdout.isatty():
        yield lambda _done: None
        return
    total = count()

    def show(done: int) -> None:
        # Other processes may store and delete rows in the meantime.
        part = min(done / total, 1.0) if total else 1.0
        bar = ("#" * round(part * BAR_WIDTH)).ljust(BAR_WIDTH)
        command.stdout.write(f"\r[{bar}] {part:4.0%} {done} of {total}", ending="")
        command.stdout.flush()

    show(0)
    try:
        yield show
    finally:
        command.stdout.write("")
