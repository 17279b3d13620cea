"""Worker and beat processes that tests start, wait for, and end by process id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.integration.combinations import Combination

LAUNCH = Path(__file__).resolve().parent.parent / "launch.py"
#: Seconds that a process may take to get ready, and to end.
START_TIMEOUT, STOP_TIMEOUT = 60, 10


class CeleryProcess:
    """A process that runs one of Celery's commands for a combination, and its log."""

    def __init__(
        self,
        combination: Combination,
        ready: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.combination = combination
        self.environment = environment or {}
        self.ready = ready
        self.arguments = arguments
        name = f"{combination.name}-{arguments[0]}"
        self.log = settings.RUN_DIRECTORY / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and return once it says that it is ready."""
        # Celery imports from the current directory first, so it must not be the checkout.
        settings.RUN_DIRECTORY.mkdir(exist_ok=True)
        offset = self.size()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(LAUNCH),
                    "celery",
                    "-A",
                    "tests.integration.app",
                    *self.arguments,
                ],
                cwd=settings.RUN_DIRECTORY,
                env={
                    **os.environ,
                    "RESULTS_COMBINATION": self.combination.name,
                    **self.environment,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready(offset)

    def _wait_until_ready(self, offset: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.ready not in self.text(offset):
            if not self.runs() or time.monotonic() > deadline:
                raise RuntimeError(f"{self.arguments} did not get ready:\n{self.text(offset)}")
            time.sleep(0.05)

    def runs(self) -> bool:
        """Return whether the process is running."""
        return self.process is not None and self.process.poll() is None

    def size(self) -> int:
        """Return how long the log is, in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def text(self, offset: int = 0) -> str:
        """Return the log from ``offset`` on."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[offset:].decode(errors="replace")

    def ask_to_stop(self) -> None:
        """Ask the process to shut down, and do not wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self) -> None:
        """End the process, gracefully if possible, and kill its children."""
        if self.process is None:
            return
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT)
        self._kill()
        self.process.wait()
        self.process = None

    def _kill(self) -> None:
        """Kill the process group, which holds only this process and its children."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def worker(combination: Combination, environment: Mapping[str, str] | None = None) -> CeleryProcess:
    """Return a worker that is not yet started; ``environment`` adds environment variables."""
    return CeleryProcess(
        combination,
        " ready.",
        "worker",
        f"--pool={combination.pool}",
        f"--concurrency={combination.concurrency}",
        f"--hostname={combination.queue}@%h",
        "--loglevel=INFO",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        environment=environment,
    )


def beat(combination: Combination) -> CeleryProcess:
    """Return a beat process that is not yet started."""
    schedule = settings.RUN_DIRECTORY / f"{combination.name}-schedule"
    return CeleryProcess(
        combination,
        "beat: Starting",
        "beat",
        f"--schedule={schedule}",
        "--loglevel=INFO",
        "--pidfile=",
    )
