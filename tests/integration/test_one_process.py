"""Behaviour within one process: eager tasks, copies of a backend, concurrent threads."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery import chord, group
from celery.app.task import Context
from django.core.cache import close_caches
from django.db import connections

from django_celery_results.models import TaskResult
from tests.integration import tasks
from tests.integration.combinations import DATABASE, Combination, make_app
from tests.integration.values import VALUES

if TYPE_CHECKING:
    from tests.integration.conftest import Lab

LOCAL = Combination(name="local", broker="filesystem", backend="django-cache://default")
BACKENDS = {"db": replace(DATABASE, name="eager", broker="filesystem"), "locmem": LOCAL}


@pytest.fixture(params=BACKENDS)
def eager_app(
    request: pytest.FixtureRequest,
    current_app: None,  # noqa: ARG001  restores the current app after the test
    local_cache: None,  # noqa: ARG001  clears the cache
) -> Any:
    """Give an app whose tasks run where they are sent, and still store their results."""
    app = make_app(BACKENDS[request.param], fixups=set())
    app.conf.update(task_always_eager=True, task_store_eager_result=True)
    app.set_current()
    return app


def test_an_eager_task_stores_its_result(eager_app: Any) -> None:
    """The backend finds the result by its id."""
    sent = tasks.add.delay(2, 3)
    read = eager_app.backend.get_task_meta(sent.id)
    assert ("SUCCESS", 5, "tests.integration.tasks.add") == (
        read["status"],
        read["result"],
        read["name"],
    )


def test_an_eager_failure_is_stored(eager_app: Any) -> None:
    """The exception and the traceback are stored."""
    sent = tasks.fail.delay()
    read = eager_app.backend.get_task_meta(sent.id)
    assert ("FAILURE", ("wrong",)) == (read["status"], read["result"].args)
    assert "raise EXCEPTIONS[name]" in read["traceback"]


def test_an_eager_retry_ends_well(eager_app: Any) -> None:
    """The retries happen at once, and the last state is stored."""
    sent = tasks.flaky.delay(2)
    read = eager_app.backend.get_task_meta(sent.id)
    assert ("SUCCESS", 2) == (read["status"], read["result"])


def test_an_eager_task_that_ignores_its_result_stores_none(eager_app: Any) -> None:
    """A worker would not store one either."""
    sent = tasks.ignored_add.delay(1, 1)
    assert "PENDING" == eager_app.backend.get_task_meta(sent.id)["status"]


def test_an_eager_chord_gives_the_bodys_value(eager_app: Any) -> None:
    """The body's result is stored too."""
    result: Any = chord([tasks.add.s(1, 1), tasks.add.s(2, 2)], tasks.total.s()).apply_async()
    assert 6 == result.get()
    assert 6 == eager_app.backend.get_task_meta(result.id)["result"]


@pytest.mark.usefixtures("current_app", "local_cache")
def test_local_memory_keeps_every_value() -> None:
    """The local-memory cache gives back Python objects of any type."""
    app = make_app(LOCAL, fixups=set())
    ids = {name: name.replace(" ", "-") for name in VALUES}
    for name, value in VALUES.items():
        app.backend.store_result(ids[name], value, "SUCCESS")
    read = {name: app.backend.get_task_meta(ids[name])["result"] for name in VALUES}
    assert repr(VALUES) == repr(read)


@pytest.mark.usefixtures("current_app", "local_cache")
def test_local_memory_counts_chords() -> None:
    """Threads that return parts concurrently get one claim."""
    # One backend for all threads, because an app makes a different one in each.
    backend: Any = make_app(LOCAL, fixups=set()).backend
    ids = [f"part-{i}" for i in range(20)]
    backend.apply_chord(("chord", [backend.app.AsyncResult(one) for one in ids]), None)
    sent: list[Any] = []
    backend.chords.send_body = lambda _body, progress: sent.append(progress.group_id)
    body = tasks.total.s()

    def part(task_id: str) -> None:
        context = Context(id=task_id, group="chord", chord=body)
        backend.store_result(task_id, 1, "SUCCESS")
        backend.on_chord_part_return(context, "SUCCESS", 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(part, ids * 2))
    assert ["chord"] == sent


def test_a_task_added_before_the_size_is_known_counts(
    eager_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery sets the size with the last header task; the first may have added one by then."""
    backend = eager_app.backend
    key = uuid4().hex
    first, second, added = (eager_app.AsyncResult(f"{key}-{name}") for name in ("1", "2", "more"))
    backend.apply_chord((key, [first, second]), None)
    backend.add_to_chord(key, added)
    backend.set_chord_size(key, 2)
    sent: list[Any] = []
    monkeypatch.setattr(backend.chords, "send_body", lambda _body, progress: sent.append(progress))
    left = []
    for one in (first, second, added):
        request = Context(id=one.id, group=key, chord=tasks.total.s())
        backend.on_chord_part_return(request, "SUCCESS", 1)
        left.append(len(sent))
    assert [0, 0, 1] == left


def test_a_backend_can_be_pickled(own_lab: Lab) -> None:
    """The copy reads what the original stored."""
    result: Any = tasks.add.delay(2, 2)
    own_lab.get(result)
    copy: Any = pickle.loads(pickle.dumps(own_lab.app.backend))
    assert copy.as_uri() == own_lab.app.backend.as_uri()
    assert ("SUCCESS", 4) == (copy.get_state(result.id), copy.get_result(result.id))


def test_a_result_can_be_pickled(own_lab: Lab) -> None:
    """Copies of an AsyncResult and of a GroupResult find their backend."""
    results: Any = group(tasks.add.s(1, 1), tasks.add.s(2, 2)).apply_async()
    copy: Any = pickle.loads(pickle.dumps(results))
    assert [2, 4] == own_lab.get(copy)
    assert 2 == own_lab.get(pickle.loads(pickle.dumps(results[0])))


@pytest.fixture
def closing() -> Any:
    """Give a wrapper for functions that closes the thread's connections at the end."""

    def wrap(function: Any) -> Any:
        def run(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            finally:
                connections.close_all()
                close_caches()

        return run

    return wrap


def test_threads_read_results_at_once(own_lab: Lab, closing: Any) -> None:
    """Several threads wait for the same group, through one shared app or their own."""
    results: Any = group(tasks.nap.s(0.05, i) for i in range(10)).apply_async()
    expected = [*range(10)]
    start = threading.Barrier(6)

    def read(number: int) -> Any:
        app = own_lab.app if number % 2 else make_app(own_lab.combination, fixups=set())
        mine = app.GroupResult(results.id, [app.AsyncResult(one.id) for one in results])
        start.wait(10)
        return own_lab.get(mine)

    with ThreadPoolExecutor(6) as pool:
        assert [expected] * 6 == list(pool.map(closing(read), range(6)))


@pytest.mark.usefixtures("local_cache")
def test_apps_in_one_process_keep_apart(own_lab: Lab) -> None:
    """An app does not see what an app with another backend stored."""
    other = make_app(LOCAL, fixups=set())
    result: Any = tasks.add.delay(1, 1)
    own_lab.get(result)
    assert "PENDING" == other.AsyncResult(result.id).state
    other.backend.store_result(result.id, "other", "SUCCESS")
    assert 2 == own_lab.app.AsyncResult(result.id).get(timeout=own_lab.wait)


def test_threads_that_store_one_result_leave_one_row(database_lab: Lab, closing: Any) -> None:
    """SUCCESS wins, whichever thread stores first."""
    backend = database_lab.app.backend
    start = threading.Barrier(6)

    def store(number: int) -> None:
        start.wait(10)
        state = "SUCCESS" if number == 3 else "STARTED"
        backend.store_result(database_lab.key, {"number": number}, state)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(closing(store), range(6)))
    row = TaskResult.objects.get(task_id=database_lab.key)
    assert ("SUCCESS", '{"number": 3}') == (row.status, row.result)
