"""Fixtures that start a worker when a test first needs it, and give tests access to it."""
# ruff: noqa: ARG001  (a fixture asks for another by naming it among its arguments)

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.core.cache import caches
from django.db import connections

from tests.conftest import require_service
from tests.integration import cleanup, notes, processes
from tests.integration.combinations import BY_NAME, DATABASE, MATRIX, Combination, make_app

if TYPE_CHECKING:
    from celery import Celery
    from pytest_django import DjangoDbBlocker

#: Maximum seconds that a test waits for a result.
WAIT = 20
_STARTED: dict[str, processes.CeleryProcess] = {}
_OFFSETS = pytest.StashKey[dict[str, int]]()


class Lab:
    """A combination whose worker is running and whose app is the current one."""

    wait = WAIT

    def __init__(self, combination: Combination, app: Celery) -> None:
        self.combination = combination
        self.app = app
        #: A random key for this test; tasks leave notes under it.
        self.key = uuid4().hex

    @property
    def worker(self) -> processes.CeleryProcess:
        """The worker process."""
        return _STARTED[self.combination.name]

    def get(self, result: Any, **options: Any) -> Any:
        """Return the value of a result, or raise what the task raised."""
        return result.get(**{"timeout": self.wait, "interval": 0.05, **options})

    def error(self, result: Any) -> BaseException:
        """Wait until a task has failed, and return its exception."""
        error = self.get(result, propagate=False)
        assert isinstance(error, BaseException), error
        return error

    def notes(self, count: int = 1, settle: float = 0.0) -> list[str]:
        """Wait for ``count`` notes under the key of this test, and return the notes."""
        return notes.wait_for(self.key, count, self.wait, settle)


@dataclass
class Workers:
    """The apps and workers of the session."""

    apps: dict[str, Celery]

    def app(self, combination: Combination) -> Celery:
        """Return the test process's app for the combination."""
        if combination.name not in self.apps:
            # A fixup would change sys.path, and close the test process's connections.
            self.apps[combination.name] = make_app(combination, fixups=set())
        return self.apps[combination.name]

    def require(self, combination: Combination) -> None:
        """Skip or fail the test if a service of the combination is missing."""
        for service in combination.services:
            require_service(service)

    def lab(self, combination: Combination, environment: Mapping[str, str] | None = None) -> Lab:
        """Return the lab of the combination; start its worker if it is not running."""
        self.require(combination)
        app = self.app(combination)
        app.set_current()
        if combination.name not in _STARTED:
            _STARTED[combination.name] = processes.worker(combination, environment)
        if not _STARTED[combination.name].runs():
            _STARTED[combination.name].start()
        return Lab(combination, app)

    def close(self) -> None:
        """Stop every process and remove what it left."""
        for one in _STARTED.values():
            one.ask_to_stop()
        for one in _STARTED.values():
            one.stop()
        for name, app in self.apps.items():
            cleanup.empty_broker(app, BY_NAME[name])
            if not BY_NAME[name].ours:
                _disconnect(app.backend)
            app.close()
        self.apps.clear()
        _STARTED.clear()
        # Celery's pools leave sockets to the garbage collector: run it now, not in a later test.
        gc.collect()


def _disconnect(backend: Any) -> None:
    """Close the connections of Celery's Redis backend, whose client leaves them in its pool."""
    backend.result_consumer.stop()
    # A result that is garbage-collected later would reopen this connection to unsubscribe.
    backend.result_consumer._pubsub = None
    backend.client.connection_pool.disconnect()


@pytest.fixture(scope="session")
def workers(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Workers]:
    """Give the session's workers, and stop them before the databases are removed."""
    shutil.rmtree(notes.DIRECTORY, ignore_errors=True)
    found = Workers({})
    yield found
    with django_db_blocker.unblock():
        found.close()
        cleanup.empty_tables()
        connections.close_all()
    shutil.rmtree(notes.DIRECTORY, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_database(workers: Workers, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the databases without a transaction, because a worker could not see its rows.

    The rows are deleted at the end of a module. Every test has its own task ids, and emptying
    the tables after each test would take longer than the tests.
    """
    with django_db_blocker.unblock():
        cleanup.empty_tables()
        yield
        cleanup.empty_tables()
        connections.close_all()


@pytest.fixture
def transactional_db(shared_database: None) -> None:
    """Make pytest-django create the databases, as it does for tests with a fixture of this name.

    This overrides pytest-django's fixture, which would empty every table after each test.
    """


@pytest.fixture
def current_app(transactional_db: None) -> Iterator[None]:
    """Restore the current app after the test."""
    from celery._state import get_current_app

    before: Any = get_current_app()
    yield
    before.set_current()


def _names(combinations: Iterable[Combination]) -> list[Any]:
    """Return the names as parameters; `make test` has only the first combination's worker."""
    return [
        pytest.param(one.name, marks=() if one is DATABASE else pytest.mark.workers)
        for one in combinations
    ]


@pytest.fixture(params=_names(MATRIX))
def lab(request: pytest.FixtureRequest, workers: Workers, current_app: None) -> Lab:
    """Give each combination of the matrix in turn."""
    return workers.lab(BY_NAME[request.param])


@pytest.fixture(params=_names(one for one in MATRIX if one.ours))
def own_lab(request: pytest.FixtureRequest, workers: Workers, current_app: None) -> Lab:
    """Give each combination with a backend of this package, for what Celery's own cannot do."""
    return workers.lab(BY_NAME[request.param])


@pytest.fixture(params=_names(one for one in MATRIX if one.keeps_objects))
def cache_lab(request: pytest.FixtureRequest, workers: Workers, current_app: None) -> Lab:
    """Give each combination with a cache backend."""
    return workers.lab(BY_NAME[request.param])


@pytest.fixture
def database_lab(workers: Workers, current_app: None) -> Lab:
    """Give the combination with the database backend."""
    return workers.lab(DATABASE)


@pytest.fixture
def start_lab(workers: Workers, current_app: None) -> Iterator[Callable[..., Lab]]:
    """Give a function that starts a worker for this test only."""
    mine: list[Combination] = []

    def start(combination: Combination, environment: Mapping[str, str] | None = None) -> Lab:
        if combination not in MATRIX:
            mine.append(combination)
        return workers.lab(combination, environment)

    yield start
    for combination in mine:
        if combination.name in _STARTED:
            _STARTED[combination.name].stop()


@pytest.fixture
def local_cache() -> Iterator[None]:
    """Clear the local-memory cache before and after the test."""
    caches["default"].clear()
    yield
    caches["default"].clear()


# -- Logs ----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Record the length of each worker's log when a test begins."""
    item.stash[_OFFSETS] = {name: one.size() for name, one in _STARTED.items()}
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show what the workers logged during a test that failed."""
    report: Any = yield
    if report.failed:
        offsets = item.stash.get(_OFFSETS, {})
        for name, one in _STARTED.items():
            text = one.text(offsets.get(name, 0))[-5000:]
            if text:
                report.sections.append((f"log of {name}", text))
    return report
