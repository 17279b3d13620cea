"""Database servers and connections that are killed while workers store results.

This module starts its own server. Messages are acknowledged before their tasks run, as is usual,
so a result that a worker does not store is lost.
"""
# ruff: noqa: ARG001  (a fixture asks for another by naming it among its arguments)

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery import states
from django.db import connections

from django_celery_results.models import ChordCounter, TaskResult
from tests import settings
from tests.integration import notes, processes, tasks
from tests.integration.combinations import SHAKEN, Combination
from tests.integration.servers import SERVERS, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery

    from tests.integration.conftest import Workers

pytestmark = [
    pytest.mark.workers,
    pytest.mark.skipif(settings.DATABASE not in SERVERS, reason="SQLite has no server"),
    pytest.mark.timeout(600),
]

#: The database alias of the server in this process.
OWN = "own"
#: Number of header tasks in each chord, and of chords in a run.
SIZE, CHORDS = 5, 20
#: Maximum seconds that a run may take.
PATIENCE = 240


@pytest.fixture(scope="module")
def server(workers: Workers) -> Iterator[Server]:
    """Give this module's own server, with the tables created."""
    server = SERVERS[settings.DATABASE]()
    try:
        server.create()
        server.start()
        server.execute(f"CREATE DATABASE {server.name}")
        migrate = [sys.executable, str(processes.LAUNCH), "django", "migrate", "--verbosity=0"]
        environment = {**os.environ, **server.environment()}
        subprocess.run(migrate, env=environment, cwd=server.directory, check=True)
        own = {"HOST": "127.0.0.1", "PORT": server.port}
        connections.settings[OWN] = connections.settings["default"] | own
        yield server
        connections[OWN].close()
        del connections[OWN], connections.settings[OWN]
    finally:
        server.remove()


class Run:
    """Tasks that are sent to one worker, and their outcome."""

    def __init__(self, app: Celery, server: Server, count: int) -> None:
        self.server = server
        self.count = count
        self.key = uuid4().hex
        self.ids = {self.send(tasks.note, self.key, str(one)) for one in range(count)}
        self.chords = [f"{self.key}-{number}" for number in range(CHORDS)]
        self.ids |= {self.send(tasks.send_chord, key, SIZE) for key in self.chords}
        self.app = app

    def send(self, task: Any, *arguments: Any) -> str:
        """Send a task and return its id."""
        return str(task.delay(*arguments).id)

    def done(self) -> int:
        """Return how many of the plain tasks have run."""
        return len(notes.read(self.key))

    def bodies(self) -> list[list[str]]:
        """Return the notes of each chord's body."""
        return [notes.read(key) for key in self.chords]

    def rows(self) -> dict[str, str]:
        """Return the state of each task that is stored."""
        rows = dict(TaskResult.objects.using(OWN).values_list("task_id", "status"))
        # This process, too, loses its connection before the next call.
        connections[OWN].close()
        return rows

    def until_half_is_done(self) -> None:
        """Wait until half of the plain tasks have run."""
        notes.eventually(lambda: self.done() >= self.count / 2, PATIENCE, 0.1)

    def until_all_has_run(self) -> None:
        """Wait until each plain task and each chord's body has run."""
        notes.eventually(lambda: self.done() == self.count and all(self.bodies()), PATIENCE, 0.5)

    def until_all_is_stored(self) -> None:
        """Wait until each task, including those of the chords, has its result."""
        self.until_all_has_run()
        expected = len(self.ids) + CHORDS * (SIZE + 1)
        notes.eventually(lambda: len(self.rows()) == expected, PATIENCE, 0.5)

    def check(self) -> None:
        """Check that each task succeeded, each body ran once, and no chord is left."""
        rows = self.rows()
        assert rows.keys() >= self.ids
        assert {states.SUCCESS} == set(rows.values())
        assert [[repr([*range(SIZE)])]] * CHORDS == self.bodies()
        # A chord is deleted after its body is sent.
        notes.eventually(lambda: not ChordCounter.objects.using(OWN).exists())
        connections[OWN].close()


@pytest.fixture
def start_run(
    server: Server, workers: Workers, current_app: None
) -> Iterator[Callable[[Combination, int], Run]]:
    """Give a function that starts a worker on the module's server and sends it tasks."""
    started: list[processes.CeleryProcess] = []

    def start(combination: Combination, count: int) -> Run:
        workers.require(combination)
        app = workers.app(combination)
        app.set_current()
        TaskResult.objects.using(OWN).delete()
        connections[OWN].close()
        worker = processes.worker(combination, server.environment())
        started.append(worker)
        worker.start()
        return Run(app, server, count)

    yield start
    for worker in started:
        worker.stop()


@contextmanager
def repeatedly(work: Callable[[], Any], pause: float) -> Iterator[None]:
    """Call ``work`` again and again in another thread, ``pause`` seconds apart."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(pause):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_killed_database_server_loses_nothing(start_run: Callable[..., Run]) -> None:
    """The server is killed in mid-run and comes back two seconds later with the same data."""
    run = start_run(SHAKEN[0], 1500)
    run.until_half_is_done()
    run.server.kill()
    threading.Event().wait(2)
    run.server.start()
    run.until_all_is_stored()
    run.check()


@pytest.mark.parametrize(
    ("combination", "count"),
    [(SHAKEN[1], 5000), (SHAKEN[2], 500), (SHAKEN[3], 500)],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_connections_killed_over_and_over_lose_nothing(
    start_run: Callable[..., Run], combination: Combination, count: int
) -> None:
    """All connections are killed, several times a second."""
    run = start_run(combination, count)
    with repeatedly(run.server.close_all_connections, 0.3):
        run.until_all_has_run()
    run.until_all_is_stored()
    run.check()
