"""A real prefork worker: the counters of all its processes are summed, dead ones included."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import settings
from tests.integration import cleanup, notes
from tests.integration.combinations import Combination, make_app
from tests.integration.processes import LAUNCH, STOP_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from django.test import Client

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("django_celery_results_prometheus.urls"),
]

TASKS = "tests.integration.tasks"
METERED = Combination(name="metered", broker="filesystem")
#: The longest time that Celery takes to detect a dead process, in seconds.
LOST = 40


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the counters of all processes in the test."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def app(directory: Path) -> Iterator[Celery]:  # noqa: ARG001 - the worker finds it in its environment
    """The app of a running worker."""
    app = make_app(METERED, fixups=set())
    log = settings.RUN_DIRECTORY / "metered.log"
    process = started(log)
    try:
        yield app
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT)
        process.kill()
        process.wait()
        cleanup.empty_broker(app, METERED)
        app.close()


def started(log: Path) -> subprocess.Popen[bytes]:
    """Return a worker with two processes, once it is ready."""
    module = "plugins.prometheus.tests.prometheus_worker"
    command = ["celery", "-A", module, "worker", "--concurrency=2", "--loglevel=INFO"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(LAUNCH), *command, "--without-gossip", "--without-mingle"],
            cwd=settings.RUN_DIRECTORY,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.plugins_settings"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    notes.eventually(lambda: b" ready." in log.read_bytes() or process.poll() is not None, 60)
    assert process.poll() is None, log.read_text()
    return process


def run(app: Celery, task: str, *arguments: Any, timeout: float = 20) -> Any:
    """Send a task and return its value."""
    return app.send_task(f"{TASKS}.{task}", arguments).get(timeout=timeout, interval=0.05)


def samples(client: Client, settings: Any) -> dict[tuple[str, ...], float]:
    """Return the samples of a scrape by name and sorted label values."""
    settings.DJANGO_CELERY_RESULTS["prometheus"] = {"PUBLIC": True}
    text = client.get("/").content.decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counting_processes(directory: Path) -> set[str]:
    """Return the ids of the processes that have counted."""
    return {path.stem.partition("_")[2] for path in directory.glob("counter_*.db")}


@pytest.mark.timeout(180)
def test_counters_are_summed_over_all_processes_even_a_killed_one(
    app: Celery, directory: Path, client: Client, settings: Any
) -> None:
    """Ten tasks, then a task that kills its process, then ten more."""
    for number in range(10):
        assert number == run(app, "echo", number)
    run(app, "die_once", uuid4().hex, timeout=LOST)
    for number in range(10):
        assert number == run(app, "echo", number)

    name = "celery_results_stored_total"
    echo, died = [(name, "SUCCESS", f"{TASKS}.{task}") for task in ("echo", "die_once")]
    # A result is visible to others shortly before it is counted.
    notes.eventually(lambda: samples(client, settings)[echo] >= 20)
    counted = samples(client, settings)
    assert (20, 1) == (counted[echo], counted[died])
    assert 21 <= counted["celery_results_storage_seconds_count", "store_task"]
    gone = [pid for pid in counting_processes(directory) if not Path(f"/proc/{pid}").exists()]
    assert [] != gone
