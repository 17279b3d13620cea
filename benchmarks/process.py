"""A contender at work in its own process, as the parent process sees it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .environments import environment_of

__all__ = ["Process", "running"]


class Process:
    """A contender's process: start it, meet it, ask it, end it."""

    def __init__(self, kind: str, python: Path, database: str, directory: Path) -> None:
        self.kind = kind
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.contender"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
            env=environment_of(kind, database, directory),
        )
        #: The pieces of work that the contender can do.
        self.works: list[str] = []
        self.versions: dict[str, str] = {}
        self.server = ""

    def meet(self) -> Process:
        """Wait until the process is ready, and read its description."""
        introduction = self._answer()
        self.works = introduction["works"]
        self.versions = introduction["versions"]
        self.server = introduction["server"]
        return self

    def ask(self, act: str, work: str, count: int) -> dict[str, Any]:
        """Return the answer to ``measure``, ``probe``, ``weigh`` or ``profile``."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": act, "work": work, "count": count}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the contender {self.kind} ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Let the process drop its database and end."""
        self.process.communicate()


@contextmanager
def running(
    pythons: Mapping[str, Path], database: str, directory: Path
) -> Iterator[dict[str, Process]]:
    """Start a contender of each kind with its Python; at the end, let each drop its database."""
    with ExitStack() as stack:
        contenders = {}
        for kind, python in pythons.items():
            contenders[kind] = Process(kind, python, database, directory)
            stack.callback(contenders[kind].close)
        # They create their databases at the same time; measuring starts when all have done so.
        yield {kind: one.meet() for kind, one in contenders.items()}
