"""Run tasks through a real Celery worker and show what became of them.

`make demo` at the root of the project starts this in its own environment. It needs no server:
the messages to the worker are files in a folder, and the results are rows of a SQLite file.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Run the demonstration, and return its exit status."""
    # The imports below take most of a second, and Ctrl-C ends the process quietly meanwhile.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pathlib import Path

    from worker import Worker

    here = Path(__file__).resolve().parent
    worker = Worker(here, log=here / "data" / "worker.log")
    worker.exit_on_interruption()

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
    import django

    django.setup()
    from demonstration import run

    return run(worker)


if __name__ == "__main__":
    # The terminal's encoding may lack the characters of lines and bars.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a file, as text
    try:
        sys.exit(main())
    except BrokenPipeError:
        # The reader of the pipe has ended, as in `make demo | head`. Python flushes again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
