"""The storage ``django-db``: several databases, lost connections, threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.result import GroupResult
from django.db import InterfaceError, OperationalError, connection, connections, transaction

from django_celery_results.backends import DatabaseBackend
from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.models import GroupResult as GroupModel
from tests import settings as test_settings

from .common import COMMITTED, row
from .conftest import request_of

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from pytest_django import Settings

    from .conftest import MakeBackend

BOTH = pytest.mark.django_db(databases=["default", "secondary"])
SERVER = pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no server")

pytestmark = pytest.mark.django_db


# -- Several databases ---------------------------------------------------------------


class Secondary:
    """Sends this app, and it alone, to ``secondary``."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Read there."""
        return "secondary" if model._meta.app_label == "django_celery_results" else None

    db_for_write = db_for_read


class Replica:
    """Reads this app from ``secondary``, which nothing is ever copied to."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Read there."""
        return "secondary" if model._meta.app_label == "django_celery_results" else None

    def db_for_write(self, *_: Any, **hints: Any) -> str:
        """Write here."""
        return "default"


def whole_life(backend: Any) -> None:
    """Do all that a backend does."""
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
    """Without any router."""
    whole_life(make_backend("django-db://secondary"))


@BOTH
def test_reads_go_to_the_replica(make_backend: MakeBackend, settings: Settings) -> None:
    """Which here is always behind."""
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
    assert ["t1"] == [stored.task_id for stored in backend._load(["t1"], primary=True)]


@BOTH
def test_using_stores_through_another_connection(backend: Any) -> None:
    """As 2.6's callers do for progress."""
    backend.store_result("t1", {"done": 5}, "PROGRESS", using="secondary")
    assert "PROGRESS" == TaskResult.objects.using("secondary").get().status


def test_a_subclass_may_name_its_models(make_backend: MakeBackend) -> None:
    """As it could in 2.6."""
    storage = make_backend().storage
    assert (TaskResult, GroupModel) == (storage.task_model, storage.group_model)
    assert (TaskResult, GroupModel) == (DatabaseBackend.TaskModel, DatabaseBackend.GroupModel)


# -- Lost connections ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("gone"), True),
        (InterfaceError("closed"), True),
        (ValueError("no"), False),
    ],
)
@COMMITTED
def test_what_may_be_tried_again(backend: Any, error: Exception, expected: bool) -> None:
    """Django's two errors for all that passes."""
    assert expected == backend.exception_safe_to_retry(error)


@COMMITTED
def test_nothing_is_tried_again_inside_the_callers_transaction(backend: Any) -> None:
    """What came before would be lost with it."""
    with transaction.atomic():
        assert not backend.exception_safe_to_retry(OperationalError("gone"))


@COMMITTED
def test_nothing_is_tried_again_without_autocommit(backend: Any) -> None:
    """Which is a transaction too."""
    connection.set_autocommit(False)
    try:
        assert not backend.exception_safe_to_retry(OperationalError("gone"))
    finally:
        connection.rollback()
        connection.set_autocommit(True)


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
def test_nothing_is_tried_again_inside_a_transaction_of_the_connection_that_failed(
    backend: Any,
) -> None:
    """Whichever ``using`` named."""
    with transaction.atomic(using="secondary"):
        connections["secondary"].errors_occurred = True
        assert not backend.exception_safe_to_retry(OperationalError("gone"))


def kill(victim: BaseDatabaseWrapper) -> None:
    """End the connection on the server, through another one."""
    with victim.cursor() as cursor:
        sql = "SELECT connection_id()" if victim.vendor == "mysql" else "SELECT pg_backend_pid()"
        cursor.execute(sql)
        (number,) = cursor.fetchone()

    def end() -> None:
        with connections[victim.alias].cursor() as cursor:
            if victim.vendor == "mysql":
                cursor.execute(f"KILL {int(number)}")
            else:
                cursor.execute("SELECT pg_terminate_backend(%s)", [number])
        connections.close_all()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()


@pytest.fixture
def retrying(make_backend: MakeBackend) -> Any:
    """A backend that tries again, soon."""
    return make_backend(
        result_backend_always_retry=True,
        result_backend_max_retries=3,
        result_backend_base_sleep_between_retries_ms=1,
    )


@COMMITTED
@SERVER
def test_a_connection_killed_during_a_series_of_stores_loses_nothing(retrying: Any) -> None:
    """Each store finds a new one."""
    for one in range(10):
        if one % 3 == 1:
            kill(connection)
        retrying.mark_as_done(f"t{one}", one)
    assert list(range(10)) == [int(row(f"t{one}").result) for one in range(10)]


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
@SERVER
def test_a_killed_connection_that_using_named_is_replaced(retrying: Any) -> None:
    """Not that of the routers."""
    retrying.store_result("t1", 1, states.STARTED, using="secondary")
    kill(connections["secondary"])
    retrying.store_result("t1", 1, states.SUCCESS, using="secondary")
    assert states.SUCCESS == TaskResult.objects.using("secondary").get().status


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
@SERVER
@pytest.mark.parametrize("many", [False, True])
def test_a_killed_replica_is_replaced(retrying: Any, settings: Settings, many: bool) -> None:
    """Reading one or many."""
    settings.DATABASE_ROUTERS = [Replica()]
    assert states.PENDING == retrying.get_state("t1")
    kill(connections["secondary"])
    if many:
        assert [] == list(retrying.get_many(["t1"], max_iterations=1))
    else:
        assert states.PENDING == retrying.get_state("t1")


@COMMITTED
@SERVER
def test_a_connection_killed_between_chord_parts_loses_none(retrying: Any) -> None:
    """Counting is in a transaction of its own."""
    retrying.apply_chord(("c1", [retrying.app.AsyncResult(f"t{one}") for one in range(5)]), None)
    for one in range(4):
        kill(connection)
        request = request_of(f"t{one}", group="c1")
        retrying.on_chord_part_return(request, states.SUCCESS, one)
    assert 1 == ChordCounter.objects.get().count


@COMMITTED
@SERVER
def test_a_connection_killed_inside_the_callers_transaction_is_the_callers_affair(
    retrying: Any,
) -> None:
    """It hears of it, and nothing is stored behind its back."""

    def work() -> None:
        retrying.mark_as_started("t1")
        kill(connection)
        retrying.mark_as_done("t1", 1)

    with pytest.raises((OperationalError, InterfaceError)), transaction.atomic():
        work()
    assert not TaskResult.objects.exists()


@COMMITTED
@SERVER
def test_without_always_retry_a_lost_connection_is_an_error(backend: Any) -> None:
    """As Celery's setting says."""
    backend.mark_as_started("t1")
    kill(connection)
    with pytest.raises((OperationalError, InterfaceError)):
        backend.mark_as_done("t1", 1)
    connection.close()


# -- Threads -------------------------------------------------------------------------


@COMMITTED
def test_one_backend_reads_in_many_threads(backend: Any) -> None:
    """Nothing of it belongs to one of them."""
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


@COMMITTED
def test_the_connection_that_failed_is_looked_at(backend: Any) -> None:
    """And works again, whatever it was."""
    connection.ensure_connection()
    connection.errors_occurred = True
    assert backend.exception_safe_to_retry(OperationalError("deadlock"))
    assert states.PENDING == backend.get_state("t1")
    assert not connection.errors_occurred
