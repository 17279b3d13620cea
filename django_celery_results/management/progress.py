"""How far an action of ``manage.py celery_results`` is, shown on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand

__all__ = ["INTERRUPTED", "progress"]

#: What a shell gives a command that Ctrl-C ended (bash's manual: 128 and the signal's number).
INTERRUPTED = 130

BAR_WIDTH = 30


@contextmanager
def progress(
    command: BaseCommand, count: Callable[[], int], *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how many rows are done: on a terminal, and not to cron.

    ``count``, which is called only where that is shown, says how many there are in all.
    """
    if quiet or not command.stdout.isatty():
        yield lambda _done: None
        return
    total = count()

    def show(done: int) -> None:
        # Others may store and delete meanwhile.
        part = min(done / total, 1.0) if total else 1.0
        bar = ("#" * round(part * BAR_WIDTH)).ljust(BAR_WIDTH)
        command.stdout.write(f"\r[{bar}] {part:4.0%} {done} of {total}", ending="")
        command.stdout.flush()

    show(0)
    try:
        yield show
    finally:
        command.stdout.write("")
