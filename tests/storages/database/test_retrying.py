"""The storage ``django-db``: lost connections, inside and outside of transactions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.exceptions import BackendStoreError
from django.db import InterfaceError, OperationalError, connection, connections, transaction

from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.sql.errors import prepare_retry
from tests import settings as test_settings
from tests.backends.common import COMMITTED, row
from tests.backends.conftest import request_of
from tests.backends.killing import SERVER, elsewhere, end, kill, kill_number, notes_of, number_of
from tests.storages.database.test_connections import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend

POSTGRESQL = pytest.mark.skipif(test_settings.DATABASE != "postgresql", reason="PostgreSQL's own")
BOTH = pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
LOST = (OperationalError, InterfaceError)


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend that retries after short waits, and gives up soon."""
    return make_backend(
        result_backend_max_retries=5, result_backend_base_sleep_between_retries_ms=1
    )


# -- Between two stores --------------------------------------------------------------


@COMMITTED
@SERVER
def test_a_connection_killed_during_a_series_of_stores_loses_nothing(backend: Any) -> None:
    """Each store finds a new connection."""
    for one in range(10):
        if one % 3 == 1:
            kill(connection)
        backend.mark_as_done(f"t{one}", one)
    assert list(range(10)) == [int(row(f"t{one}").result) for one in range(10)]


@BOTH
@SERVER
def test_a_killed_connection_that_using_named_is_replaced(backend: Any) -> None:
    """The connection that the routers choose is left alone."""
    backend.store_result("t1", 1, states.STARTED)
    untouched = connection.connection
    backend.store_result("t1", 1, states.STARTED, using="secondary")
    kill(connections["secondary"])
    backend.store_result("t1", 1, states.SUCCESS, using="secondary")
    assert states.SUCCESS == TaskResult.objects.using("secondary").get().status
    assert untouched is connection.connection


@BOTH
@SERVER
def test_a_killed_connection_that_the_url_named_is_replaced(make_backend: MakeBackend) -> None:
    """This works without a router."""
    backend = make_backend("django-db://secondary")
    backend.mark_as_started("t1")
    kill(connections["secondary"])
    backend.mark_as_done("t1", 1)
    assert states.SUCCESS == TaskResult.objects.using("secondary").get().status


@BOTH
@SERVER
@pytest.mark.parametrize("many", [False, True])
def test_a_killed_replica_is_replaced(backend: Any, settings: Settings, many: bool) -> None:
    """It is read for one task and for many."""
    settings.DATABASE_ROUTERS = [Replica()]
    assert states.PENDING == backend.get_state("t1")
    kill(connections["secondary"])
    if many:
        assert [] == list(backend.get_many(["t1"], max_iterations=1))
    else:
        assert states.PENDING == backend.get_state("t1")


@COMMITTED
@SERVER
def test_a_connection_killed_between_chord_parts_loses_none(backend: Any) -> None:
    """Counting has its own transaction."""
    backend.apply_chord(("c1", [backend.app.AsyncResult(f"t{one}") for one in range(5)]), None)
    for one in range(4):
        kill(connection)
        request = request_of(f"t{one}", group="c1")
        backend.on_chord_part_return(request, states.SUCCESS, one)
    assert 1 == ChordCounter.objects.get().count


@COMMITTED
@SERVER
@pytest.mark.parametrize("age", [0, None])
@pytest.mark.parametrize("checks", [False, True])
def test_a_killed_connection_is_replaced_however_long_it_lives(
    backend: Any, age: int | None, checks: bool
) -> None:
    """``CONN_MAX_AGE`` and ``CONN_HEALTH_CHECKS`` do not matter."""
    configured = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(CONN_MAX_AGE=age, CONN_HEALTH_CHECKS=checks)
    try:
        backend.mark_as_started("t1")
        kill(connection)
        backend.mark_as_done("t1", 1)
    finally:
        connection.settings_dict.update(configured)
        connection.close()
    assert states.SUCCESS == row().status


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Django's pool of connections to PostgreSQL, holding two."""
    request.getfixturevalue("transactional_db")
    configured = connection.settings_dict["OPTIONS"]
    connection.close()
    connection.settings_dict["OPTIONS"] = {"pool": {"min_size": 2, "max_size": 2}}
    wrapper: Any = connection
    yield wrapper.pool
    connection.close()
    wrapper.close_pool()
    connection.settings_dict["OPTIONS"] = configured


def in_pool(pool: Any) -> set[int]:
    """Return the server's numbers of the connections in the pool."""
    taken = [pool.getconn() for _ in range(2)]
    for one in taken:
        pool.putconn(one)
    return {one.info.backend_pid for one in taken}


@BOTH
@POSTGRESQL
def test_broken_connections_of_djangos_pool_are_given_back(backend: Any, pool: Any) -> None:
    """New ones take as many tries as a single connection."""
    backend.max_retries = 1
    backend.mark_as_started("t1")
    connection.close()
    broken = in_pool(pool)
    for number in broken:
        kill_number(number)
    backend.mark_as_done("t1", 1)
    connection.close()
    assert not broken & in_pool(pool)


@COMMITTED
@POSTGRESQL
def test_a_pool_forgets_a_server_that_is_no_longer_the_primary(backend: Any, pool: Any) -> None:
    """Its connections still work, but must not be used."""
    backend.mark_as_started("t1")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    former = number_of(connection)
    backend.mark_as_done("t1", 1)
    connection.close()
    assert former not in in_pool(pool)


@COMMITTED
@SERVER
def test_threads_replace_their_own_connections(backend: Any) -> None:
    """No thread replaces another's."""
    untouched = number_of(connection)

    def work(name: str) -> None:
        backend.mark_as_started(name)
        kill(connection)
        backend.mark_as_done(name, 1)

    threads = [elsewhere(work, f"t{one}") for one in range(4)]
    for thread in threads:
        thread.join()
    assert 4 == TaskResult.objects.filter(status=states.SUCCESS).count()
    assert untouched == number_of(connection)


@COMMITTED
@SERVER
def test_where_retrying_is_switched_off_a_lost_connection_is_an_error(
    make_backend: MakeBackend,
) -> None:
    """The setting is Celery's ``result_backend_always_retry``."""
    backend = make_backend(result_backend_always_retry=False)
    backend.mark_as_started("t1")
    kill(connection)
    with pytest.raises(LOST):
        backend.mark_as_done("t1", 1)
    connection.close()


@COMMITTED
@SERVER
def test_a_server_that_stays_away_is_an_error_in_the_end(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The database's own error is the cause, and the log names the database."""
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = 1
    try:
        with pytest.raises(BackendStoreError, match="failed 6 times") as caught:
            backend.mark_as_done("t1", 1)
    finally:
        connection.settings_dict["PORT"] = port
    assert isinstance(caught.value.__cause__, OperationalError)
    assert [True] * 6 == ["on the database 'default'" in one.message for one in caplog.records]


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite knows no such table either")
def test_a_permanent_error_is_raised_at_once(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Here the database does not exist."""
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "not_there"
    try:
        with pytest.raises(OperationalError):
            backend.mark_as_done("t1", 1)
    finally:
        connection.settings_dict["NAME"] = name
    assert [] == caplog.records


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="others ask no server to do so")
def test_a_connection_lost_at_the_very_end_of_a_transaction_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is lost after the commit, before Django turns autocommit on again."""
    wrapper = connections["default"]
    commit, number = wrapper.commit, number_of(wrapper)

    def commit_and_lose() -> None:
        commit()
        elsewhere(end, number).join()

    monkeypatch.setattr(wrapper, "commit", commit_and_lose)
    with pytest.raises(LOST) as caught, transaction.atomic():
        TaskResult.objects.create(task_id="t1")
    monkeypatch.undo()
    assert not wrapper.autocommit
    assert prepare_retry(caught.value)
    assert connection.get_autocommit()
    assert row()


# -- Inside the caller's transaction -------------------------------------------------

OPEN = "a transaction is open on the database 'default'"


@COMMITTED
@SERVER
def test_a_connection_killed_inside_the_callers_transaction_is_an_error(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The error says why it was not retried, and nothing is stored outside the transaction."""

    def work() -> None:
        backend.mark_as_started("t1")
        kill(connection)
        backend.mark_as_done("t1", 1)

    with pytest.raises(LOST) as caught, transaction.atomic():
        work()
    notes = notes_of(caught.value)
    assert 1 == sum(OPEN in note and "using=" in note for note in notes)
    assert [True] == [OPEN in one.message for one in caplog.records]
    assert not TaskResult.objects.exists()


@COMMITTED
@SERVER
def test_the_callers_transaction_handling_is_djangos(backend: Any) -> None:
    """If the caller catches the error, the caller still ends the block."""

    def store() -> None:
        kill(connection)
        with pytest.raises(LOST):
            backend.mark_as_done("t1", 1)

    with suppress(*LOST), transaction.atomic():
        store()
        assert connection.in_atomic_block
    assert not connection.in_atomic_block
    backend.mark_as_done("t1", 1)
    assert states.SUCCESS == row().status


@COMMITTED
@SERVER
def test_nothing_is_tried_again_without_autocommit(backend: Any) -> None:
    """A transaction is open then too."""
    connection.set_autocommit(False)
    try:
        backend.mark_as_started("t1")
        kill(connection)
        with pytest.raises(LOST) as caught:
            backend.mark_as_done("t1", 1)
    finally:
        connection.close()
    assert any(OPEN in note for note in notes_of(caught.value))
    assert not TaskResult.objects.exists()


@COMMITTED
def test_an_error_without_a_connection_counts_for_the_routers_choice(backend: Any) -> None:
    """The error is made up, inside and outside of a transaction."""
    assert backend.exception_safe_to_retry(OperationalError("gone"))
    with transaction.atomic():
        assert not backend.exception_safe_to_retry(OperationalError("gone"))
    assert not backend.exception_safe_to_retry(ValueError("no"))


@BOTH
@SERVER
def test_a_transaction_on_another_database_forbids_nothing(backend: Any) -> None:
    """Results in another database are retried, and the transaction goes on."""
    backend.store_result("t1", 1, states.STARTED, using="secondary")
    with transaction.atomic():
        backend.mark_as_started("t2")
        kill(connections["secondary"])
        backend.store_result("t1", 1, states.SUCCESS, using="secondary")
    assert states.SUCCESS == TaskResult.objects.using("secondary").get().status
    assert states.STARTED == row("t2").status
