"""The demonstration's Celery worker, which ends when the demonstration does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

LOG_LINES = 10
#: Ctrl-C, `kill`, and a terminal that is closed.
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Worker:
    """A worker with two processes. As a context manager it runs until the block ends."""

    def __init__(self, directory: Path, log: Path) -> None:
        self.directory = directory
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._interruption: int | None = None

    def __enter__(self) -> None:
        """Start the worker, without waiting until it is ready."""
        self._starting = True
        try:
            self._process = self._start()
        finally:
            self._starting = False
        if self._interruption is not None:
            self._exit(self._interruption)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "demo_site", "worker"]
        options = ["--pool=prefork", "--concurrency=2", "--loglevel=INFO"]
        with self.log.open("wb") as output:
            return subprocess.Popen(
                [*command, *options, "--hostname=demo@localhost"],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # In its own session, which the terminal does not send Ctrl-C to: `stop` ends it.
                start_new_session=True,
            )

    def __exit__(self, *_error: object) -> None:
        """Stop the worker."""
        self.stop()

    def stop(self) -> None:
        """Kill the worker and its pool processes.

        Celery's own shutdown takes six seconds with files as messages, and is not needed: what
        tasks returned is in the database, and the next run deletes the messages.
        """
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            # With a limit, because a signal may have interrupted a call that holds Popen's lock.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            self._process = None

    def wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait up to ``seconds`` and return whether ``condition`` holds.

        Raises :class:`SystemExit`, with the end of the worker's log, if the worker ends meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if self._process is not None and self._process.poll() is not None:
                self.give_up(f"The worker ended with status {self._process.returncode}.")
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def give_up(self, problem: str) -> NoReturn:
        """Raise :class:`SystemExit` with ``problem`` and the end of the worker's log."""
        log = self.log.read_text(encoding="utf-8", errors="replace")
        where = f"The end of its log, {os.path.relpath(self.log)}:"
        raise SystemExit("\n".join([f"\n{problem} {where}", *log.splitlines()[-LOG_LINES:]]))

    def exit_on_interruption(self) -> None:
        """Let Ctrl-C, SIGTERM and SIGHUP stop the worker and end this process, without a traceback.

        The handlers do not raise an exception, because Python prints and drops any exception
        from a destructor or from a callback of the import system.
        """
        for number in INTERRUPTIONS:
            signal.signal(number, self._interrupted)

    def _interrupted(self, number: int, _frame: FrameType | None) -> None:
        self._interruption = number
        # While the worker is being started, its process is not known yet.
        if not self._starting:
            self._exit(number)

    def _exit(self, number: int) -> NoReturn:
        for one in INTERRUPTIONS:
            signal.signal(one, signal.SIG_IGN)
        self.stop()
        _write("\nStopped.\n")
        os._exit(128 + number)


def _write(text: str) -> None:
    """Write to standard output without `print`, which the signal may have interrupted."""
    with suppress(OSError):
        os.write(sys.stdout.fileno(), text.encode(sys.stdout.encoding, "replace"))
