"""The storage ``django-db``: several databases, threads and prepared statements."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.result import GroupResult
from django.db import connection, connections

from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.models import GroupResult as GroupModel
from tests import settings as test_settings
from tests.backends.common import COMMITTED
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend

BOTH = pytest.mark.django_db(databases=["default", "secondary"])
POSTGRESQL = pytest.mark.skipif(test_settings.DATABASE != "postgresql", reason="PostgreSQL's own")

pytestmark = pytest.mark.django_db


# -- Several databases ---------------------------------------------------------------


class Secondary:
    """Routes this app, and no other, to ``secondary``."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return ``secondary`` for this app."""
        return "secondary" if model._meta.app_label == "django_celery_results" else None

    db_for_write = db_for_read


class Replica:
    """Routes this app's reads to ``secondary``, which never receives copies."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return ``secondary`` for this app."""
        return "secondary" if model._meta.app_label == "django_celery_results" else None

    def db_for_write(self, *_: Any, **hints: Any) -> str:
        """Return ``default`` for this app."""
        return "default"


def whole_life(backend: Any) -> None:
    """Make every kind of call that a backend makes."""
    backend.mark_as_started("t1")
    backend.mark_as_done("t1", 1)
    assert 1 == backend.get_result("t1")
    assert {"t1"} == {task_id for task_id, _ in backend.get_many(["t1"], timeout=5)}
    group = GroupResult("g1", [backend.app.AsyncResult("t1")], app=backend.app)
    group.save()
    assert group == backend.restore_group("g1", cache=False)
    backend.apply_chord(("c1", group.results), None)
    backend.set_chord_size("c1", 2)
    backend.add_to_chord("c1", backend.app.AsyncResult("t2"))
    for task_id in ("t1", "t2"):
        backend.on_chord_part_return(request_of(task_id, group="c1"), states.SUCCESS, 1)
    backend.cleanup()
    backend.hooks.call("finish_chord", storage=backend.storage, group_id="c1")
    backend.delete_group("g1")
    backend.forget("t1")


@pytest.mark.django_db(databases=["secondary"])
def test_a_router_sends_everything_elsewhere(make_backend: MakeBackend, settings: Settings) -> None:
    """pytest-django refuses every query on ``default`` here."""
    settings.DATABASE_ROUTERS = [Secondary()]
    whole_life(make_backend())


@pytest.mark.django_db(databases=["secondary"])
def test_the_url_sends_everything_elsewhere(make_backend: MakeBackend) -> None:
    """It needs no router."""
    whole_life(make_backend("django-db://secondary"))


@BOTH
def test_reads_go_to_the_replica(make_backend: MakeBackend, settings: Settings) -> None:
    """In this test the replica never catches up."""
    settings.DATABASE_ROUTERS = [Replica()]
    backend = make_backend()
    backend.mark_as_done("t1", 1)
    assert states.PENDING == backend.get_state("t1")


@BOTH
def test_a_chords_join_reads_the_primary(make_backend: MakeBackend, settings: Settings) -> None:
    """The last part may not have reached the replica."""
    settings.DATABASE_ROUTERS = [Replica()]
    backend = make_backend()
    backend.mark_as_done("t1", 1)
    assert ["t1"] == [stored.task_id for stored in backend.results.load(["t1"], primary=True)]


@BOTH
def test_using_stores_through_another_connection(backend: Any) -> None:
    """Callers of 2.6 do so to make progress visible."""
    backend.store_result("t1", {"done": 5}, "PROGRESS", using="secondary")
    assert "PROGRESS" == TaskResult.objects.using("secondary").get().status


def test_a_subclass_may_name_its_models(make_backend: MakeBackend) -> None:
    """It could do so in 2.6."""
    storage = make_backend().storage
    assert (TaskResult, GroupModel) == (storage.task_model, storage.group_model)
    assert (TaskResult, GroupModel) == (DatabaseBackend.TaskModel, DatabaseBackend.GroupModel)


# -- Threads -------------------------------------------------------------------------


@COMMITTED
def test_one_backend_reads_in_many_threads(backend: Any) -> None:
    """Nothing in the backend belongs to one thread."""
    for one in range(20):
        backend.mark_as_done(f"t{one}", one)
    read: list[int] = []

    def look() -> None:
        read.extend(backend.get_task_meta(f"t{one}", cache=False)["result"] for one in range(20))
        connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted([*range(20)] * 4) == sorted(read)


# -- Prepared statements -------------------------------------------------------------


@pytest.fixture
def prepared() -> Iterator[Callable[[str], int]]:
    """Return a function that counts the prepared statements that begin with ``text``."""
    configured = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {"server_side_binding": True, "prepare_threshold": 1}

    def count(beginning: str) -> int:
        query = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s"
        with connection.cursor() as cursor:
            cursor.execute(query, [f"{beginning}%"])
            return int(cursor.fetchone()[0])

    yield count
    connection.close()
    connection.settings_dict["OPTIONS"] = configured


@COMMITTED
@POSTGRESQL
def test_statements_may_be_prepared(backend: Any, prepared: Callable[[str], int]) -> None:
    """The options of the database can ask for it."""
    for one in range(5):
        backend.mark_as_started("t1")
        backend.mark_as_done("t1", one)
        assert 0 == backend.get_result("t1")
    assert prepared("INSERT") > 0


@COMMITTED
@POSTGRESQL
def test_the_statement_of_a_chords_part_may_be_prepared(
    backend: Any, prepared: Callable[[str], int]
) -> None:
    """The server then binds the parameters, and must know the type of each."""
    backend.apply_chord(("c1", [backend.app.AsyncResult(one) for one in "abcd"]), None)
    for place, task_id in zip((0, 1, None), "abc", strict=True):
        request = request_of(task_id, group="c1", chord={"task": "body"}, group_index=place)
        backend.mark_as_done(task_id, 1, request)
    assert prepared("WITH stored") > 0
    assert 1 == ChordCounter.objects.get().count


@COMMITTED
def test_a_thread_that_has_ended_leaves_no_connection(make_backend: MakeBackend) -> None:
    """Threads share compiled statements, which must not hold a thread's connection."""
    backend = make_backend()
    left: list[weakref.ref[Any]] = []

    def work() -> None:
        backend.store_result("t1", 1, states.STARTED)
        backend.get_task_meta("t1", cache=False)
        backend.results.metas(["t1", "t2"])
        left.append(weakref.ref(connections["default"]))
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    gc.collect()
    assert [None] == [one() for one in left]
