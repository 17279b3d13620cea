"""How rows are written and found, whoever writes at the same time."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.models.functions import Now
from django.db.models.signals import post_save, pre_save

from django_celery_results.managers import (
    TaskResultManager,
    TxIsolationWarning,
    transaction_retry,
)
from django_celery_results.models import GroupResult, TaskResult

from . import settings as test_settings
from .processes import STATES, at_once, write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import DjangoAssertNumQueries

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}
BOTH = pytest.mark.django_db(databases=["default", "secondary"])
COMMITTED = pytest.mark.django_db(transaction=True)

pytestmark = pytest.mark.django_db


def write(status: str, task_id: str = "t1", **fields: Any) -> bool:
    """Write one row."""
    manager: TaskResultManager = TaskResult.objects
    return manager.write(task_id, {**JSON, "result": "1", "status": status, **fields})


def store(status: str = states.SUCCESS, **fields: Any) -> Any:
    """Store as 2.6's callers do."""
    return TaskResult.objects.store_result(
        **{**JSON, "task_id": "t1", "result": "1", "status": status, **fields}
    )


def row(task_id: str = "t1") -> Any:
    """Return the row as the database has it."""
    return TaskResult.objects.get(task_id=task_id)


def elsewhere(function: Callable[[], Any]) -> None:
    """Call ``function`` on connections of its own, and wait for it."""

    def run() -> None:
        try:
            function()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


# -- Writing -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [*STATES, states.PENDING])
def test_the_first_write_makes_the_row(status: str) -> None:
    """Whatever the state."""
    assert write(status)
    assert status == row().status


@pytest.mark.parametrize("status", [*STATES, states.PENDING])
def test_success_is_final(status: str) -> None:
    """No later state overwrites it, nor another SUCCESS."""
    write(states.SUCCESS)
    assert not write(status, result="2")
    assert (states.SUCCESS, "1") == (row().status, row().result)


@pytest.mark.parametrize("status", STATES)
def test_pending_overwrites_nothing(status: str) -> None:
    """A row of publish time may come last."""
    write(status)
    assert not write(states.PENDING)
    assert status == row().status


@pytest.mark.parametrize("status", [states.PENDING, states.FAILURE, states.RETRY])
def test_other_states_are_overwritten(status: str) -> None:
    """A failure too: the task may have been sent again."""
    write(status)
    assert write(states.SUCCESS, result="2")
    assert (states.SUCCESS, "2") == (row().status, row().result)


@pytest.mark.parametrize(
    "name", ["task_name", "task_args", "task_kwargs", "worker", "periodic_task_name"]
)
def test_extended_fields_are_never_blanked(name: str) -> None:
    """A write that does not know them leaves them."""
    write(states.STARTED, "t1", **{name: "known"})
    write(states.FAILURE, "t1", **{name: None})
    assert "known" == getattr(row(), name)


def test_extended_fields_are_replaced_by_others() -> None:
    """Another worker took the task over."""
    write(states.STARTED, worker="one")
    write(states.FAILURE, worker="two")
    assert "two" == row().worker


@pytest.mark.parametrize("name", ["result", "traceback", "meta", "date_expires"])
def test_what_belongs_to_the_state_goes_with_it(name: str) -> None:
    """A retry's traceback is not the success's."""
    known = datetime.now(timezone.utc) if name == "date_expires" else "known"
    write(states.RETRY, "t1", **{name: known})
    write(states.SUCCESS, "t1", **{name: None})
    assert None is getattr(row(), name)


def test_later_writes_keep_date_started() -> None:
    """It is written once, at STARTED."""
    write(states.STARTED, date_started=Now())
    started = row().date_started
    write(states.SUCCESS)
    assert started == row().date_started


def test_date_created_stays() -> None:
    """And date_done moves."""
    write(states.STARTED)
    before = row()
    write(states.SUCCESS)
    assert before.date_created == row().date_created
    assert before.date_done < row().date_done


def test_a_refused_row_is_an_error() -> None:
    """It was no race for the id."""
    with pytest.raises(IntegrityError), transaction.atomic():
        write(states.FAILURE, content_type=None)


@COMMITTED
def test_a_refused_row_is_an_error_outside_a_transaction() -> None:
    """And leaves the connection usable."""
    with pytest.raises(IntegrityError):
        write(states.FAILURE, content_type=None)
    assert not TaskResult.objects.exists()


# -- store_result --------------------------------------------------------------------


def test_store_result_returns_the_row() -> None:
    """As the database has it."""
    stored = store(task_name="add", worker="w")
    assert (row().pk, "add", "w", states.SUCCESS) == (
        stored.pk,
        stored.task_name,
        stored.worker,
        stored.status,
    )


def test_store_result_returns_the_row_that_stayed() -> None:
    """When the write came too late."""
    store()
    assert states.SUCCESS == store(states.FAILURE).status


def test_store_result_takes_the_retries_of_2_6() -> None:
    """They are not needed any more."""
    assert states.SUCCESS == store(exception_retry_count=3).status


def test_store_result_takes_the_date_of_the_start() -> None:
    """From the database's clock."""
    assert store(states.STARTED, date_started=Now()).date_started is not None


@BOTH
def test_using_names_the_connection() -> None:
    """And the row is nowhere else."""
    store(using="secondary")
    assert [0, 1] == [TaskResult.objects.using(alias).count() for alias in ("default", "secondary")]


@BOTH
def test_a_bound_manager_writes_where_it_is_bound() -> None:
    """As Django's own managers do."""
    manager = TaskResult.objects.db_manager("secondary")
    manager.store_result("application/json", "utf-8", "t1", "1", states.SUCCESS)
    assert TaskResult.objects.using("secondary").exists()


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
def test_using_shows_progress_while_a_transaction_is_open() -> None:
    """Which is what it is for."""
    with transaction.atomic():
        store("PROGRESS", using="secondary")
        seen: list[str] = []
        elsewhere(
            lambda: seen.extend(
                TaskResult.objects.using("secondary").values_list("status", flat=True)
            )
        )
    assert ["PROGRESS"] == seen


# -- Transactions --------------------------------------------------------------------


@COMMITTED
@pytest.mark.parametrize("present", [False, True])
def test_a_write_is_rolled_back_with_the_callers_transaction(present: bool) -> None:
    """It is part of it."""
    if present:
        write(states.STARTED)
    with transaction.atomic():
        write(states.SUCCESS)
        transaction.set_rollback(True)
    assert not TaskResult.objects.filter(status=states.SUCCESS).exists()


@pytest.mark.parametrize("status", [states.PENDING, states.FAILURE])
def test_a_write_that_comes_too_late_leaves_the_callers_transaction_usable(status: str) -> None:
    """PostgreSQL would refuse everything after the failed INSERT."""
    write(states.SUCCESS)
    with transaction.atomic():
        write(status)
        write(states.SUCCESS, "t2")
    assert 2 == TaskResult.objects.count()


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Another connection inserts the row, with the state put in here, before the INSERT."""
    insert = TaskResultManager.insert
    rival: list[str] = []

    def late_insert(self: TaskResultManager, using: str, **fields: Any) -> Any:
        if rival:
            status = rival.pop()
            elsewhere(lambda: write(status, result="9"))
        return insert(self, using, **fields)

    monkeypatch.setattr(TaskResultManager, "insert", late_insert)
    return rival


@COMMITTED
@pytest.mark.parametrize(
    ("rival", "ours", "expected"),
    [
        (states.STARTED, states.SUCCESS, (True, states.SUCCESS)),
        (states.SUCCESS, states.FAILURE, (False, states.SUCCESS)),
        (states.STARTED, states.PENDING, (False, states.STARTED)),
    ],
)
def test_a_race_for_a_new_id(
    race: list[str], rival: str, ours: str, expected: tuple[bool, str]
) -> None:
    """The rules hold for who comes second."""
    race.append(rival)
    assert expected == (write(ours), row().status)


@COMMITTED
@pytest.mark.skipif(
    test_settings.DATABASE == "sqlite", reason="the caller's transaction locks the whole file"
)
@pytest.mark.parametrize(
    ("rival", "ours", "expected"),
    [
        (states.STARTED, states.SUCCESS, states.SUCCESS),
        (states.SUCCESS, states.FAILURE, states.SUCCESS),
        (states.STARTED, states.PENDING, states.STARTED),
    ],
)
def test_a_race_inside_the_callers_transaction_does_not_break_it(
    race: list[str], rival: str, ours: str, expected: str
) -> None:
    """The savepoint takes the IntegrityError."""
    with transaction.atomic():
        race.append(rival)
        write(ours)
        write(states.SUCCESS, "t2")
    assert {"t1": expected, "t2": states.SUCCESS} == dict(
        TaskResult.objects.values_list("task_id", "status")
    )


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("rival", [states.STARTED, states.SUCCESS])
def test_a_race_hidden_by_the_callers_snapshot(race: list[str], rival: str) -> None:
    """Under REPEATABLE READ the row that is in the way cannot be seen."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            assert not TaskResult.objects.exists()
            race.append(rival)
            write(states.PENDING)
        assert rival == row().status
    finally:
        connection.close()


@pytest.mark.races
@COMMITTED
def test_many_writers_of_one_id_at_once() -> None:
    """Eight processes, every state in any order: one SUCCESS, and it is the one that stays."""
    rounds = 25
    won = at_once(8, write_rows, rounds)
    ids = [f"t{one}" for one in range(rounds)]
    assert sorted(ids) == sorted(one for ones in won for one in ones)
    stored = {one.task_id: (one.status, int(one.result or -1)) for one in TaskResult.objects.all()}
    assert sorted(ids) == sorted(stored)
    assert {states.SUCCESS} == {status for status, _ in stored.values()}


# -- Queries -------------------------------------------------------------------------


@COMMITTED
def test_a_new_row_takes_two_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """An UPDATE that finds nothing, and the INSERT."""
    with django_assert_num_queries(2):
        write(states.SUCCESS)


@COMMITTED
def test_a_pending_row_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """It updates nothing."""
    with django_assert_num_queries(1):
        write(states.PENDING)


@COMMITTED
def test_an_existing_row_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """The UPDATE."""
    write(states.STARTED)
    with django_assert_num_queries(1):
        write(states.SUCCESS)


# -- Signals -------------------------------------------------------------------------

Sent = list[tuple[str, str, "bool | None", str]]


@pytest.fixture
def sent() -> Iterator[Sent]:
    """The signals that were sent for rows of tasks."""
    heard: Sent = []

    def before(instance: TaskResult, using: str, **_: Any) -> None:
        heard.append(("pre_save", instance.status, None, using))

    def after(instance: TaskResult, created: bool, using: str, **_: Any) -> None:
        heard.append(("post_save", instance.status, created, using))

    pre_save.connect(before, sender=TaskResult)
    post_save.connect(after, sender=TaskResult)
    yield heard
    pre_save.disconnect(before, sender=TaskResult)
    post_save.disconnect(after, sender=TaskResult)


def test_a_new_row_sends_the_signals_of_saving(sent: Sent) -> None:
    """Created."""
    write(states.STARTED)
    assert [
        ("pre_save", states.STARTED, None, "default"),
        ("post_save", states.STARTED, True, "default"),
    ] == sent


def test_an_update_sends_the_signals_of_saving(sent: Sent) -> None:
    """With the instance as it now is."""
    write(states.STARTED)
    sent.clear()
    write(states.SUCCESS)
    assert [
        ("pre_save", states.SUCCESS, None, "default"),
        ("post_save", states.SUCCESS, False, "default"),
    ] == sent


def test_a_write_that_comes_too_late_saves_nothing(sent: Sent) -> None:
    """Nobody hears of a row saved."""
    write(states.SUCCESS)
    sent.clear()
    write(states.FAILURE)
    assert not [one for one in sent if one[0] == "post_save"]


@BOTH
def test_signals_name_the_database(sent: Sent) -> None:
    """The one that was written to."""
    store(states.STARTED, using="secondary")
    store(states.SUCCESS, using="secondary")
    assert {"secondary"} == {using for *_, using in sent}


def test_a_row_deleted_since_sends_nothing(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no instance to send."""
    write(states.STARTED)
    sent.clear()
    monkeypatch.setattr(TaskResult.objects, "_update", forgetting(TaskResult.objects))
    assert write(states.SUCCESS)
    assert [] == sent


def forgetting(manager: TaskResultManager) -> Callable[[str, Any, str], bool]:
    """Return an announcement that finds its row deleted."""

    def update(task_id: str, _fields: Any, alias: str) -> bool:
        manager.filter(task_id=task_id).delete()
        manager._announce_update(task_id, alias)
        return True

    return update


# -- Reading -------------------------------------------------------------------------


def test_get_task_gives_the_row() -> None:
    """The one that is there."""
    write(states.SUCCESS)
    assert row().pk == TaskResult.objects.get_task("t1").pk


def test_get_task_gives_an_unsaved_row() -> None:
    """In the state that Celery calls unknown."""
    unknown = TaskResult.objects.get_task("none")
    assert (None, "none", states.PENDING) == (unknown.pk, unknown.task_id, unknown.status)


def test_get_group_gives_an_unsaved_row() -> None:
    """And is not bothered by a second miss."""
    for _ in range(2):
        unknown = GroupResult.objects.get_group("none")
    assert (None, "none") == (unknown.pk, unknown.group_id)


def test_a_second_miss_is_fine_where_nothing_is_hidden() -> None:
    """At Django's own isolation level."""
    for _ in range(2):
        assert None is TaskResult.objects.get_task("again").pk


@COMMITTED
@pytest.mark.skipif(test_settings.DATABASE != "mariadb", reason="MariaDB's own isolation")
@pytest.mark.parametrize("look", ["get_task", "get_group"])
def test_a_second_miss_under_repeatable_read_warns(look: str) -> None:
    """Inside a transaction the row would never appear."""
    manager: Any = TaskResult.objects if look == "get_task" else GroupResult.objects
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            getattr(manager, look)("hidden")
            with pytest.warns(TxIsolationWarning):
                getattr(manager, look)("hidden")
    finally:
        connection.close()


@COMMITTED
def test_a_second_miss_outside_a_transaction_is_fine() -> None:
    """Each look is a snapshot of its own."""
    for _ in range(2):
        assert None is TaskResult.objects.get_task("again").pk


# -- Groups --------------------------------------------------------------------------


def save_group(result: str = "[]", using: str | None = None) -> Any:
    """Save one group."""
    manager = GroupResult.objects
    return manager.store_group_result("application/json", "utf-8", "g1", result, using=using)


def test_a_group_is_stored_and_found() -> None:
    """By its id."""
    saved = save_group()
    assert (saved.pk, "[]") == (GroupResult.objects.get_group("g1").pk, saved.result)


def test_saving_a_group_again_replaces_it() -> None:
    """And keeps the row."""
    first = save_group()
    assert (first.pk, "[1]") == (save_group("[1]").pk, GroupResult.objects.get().result)


@BOTH
def test_a_group_is_stored_on_the_connection_named() -> None:
    """And nowhere else."""
    save_group(using="secondary")
    assert not GroupResult.objects.exists()
    assert GroupResult.objects.using("secondary").exists()


@COMMITTED
def test_a_race_for_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second replaces what the first one saved."""
    insert = type(GroupResult.objects).insert

    def late_insert(self: Any, using: str, **fields: Any) -> Any:
        monkeypatch.undo()
        elsewhere(save_group)
        return insert(self, using, **fields)

    monkeypatch.setattr(type(GroupResult.objects), "insert", late_insert)
    assert "[1]" == save_group("[1]").result


def test_a_refused_group_is_an_error() -> None:
    """It was no race for the id."""
    with pytest.raises(IntegrityError), transaction.atomic():
        GroupResult.objects.store_group_result(None, "utf-8", "g1", "[]")


# -- Connections ---------------------------------------------------------------------


class Replica:
    """A router that reads from another database than it writes to."""

    def db_for_read(self, *_: Any, **hints: Any) -> str:
        """Read here."""
        return "secondary"

    def db_for_write(self, *_: Any, **hints: Any) -> str:
        """Write here."""
        return "default"


def test_connections_are_those_that_the_routers_choose(settings: Any) -> None:
    """One to write to, one to read from."""
    settings.DATABASE_ROUTERS = [Replica()]
    manager = TaskResult.objects
    assert ("default", "secondary") == (
        manager.connection_for_write().alias,
        manager.connection_for_read().alias,
    )


def test_current_engine_is_the_one_read_from() -> None:
    """By its dotted path, as in the settings."""
    expected = test_settings.DATABASES["default"]["ENGINE"]
    assert expected == TaskResult.objects.current_engine()


# -- transaction_retry ---------------------------------------------------------------


def failing(times: int) -> Callable[..., int]:
    """Return a function that fails so many times before it counts its calls."""
    calls: list[None] = []

    def function() -> int:
        calls.append(None)
        if len(calls) <= times:
            raise DatabaseError(len(calls))
        return len(calls)

    return function


def test_transaction_retry_tries_again() -> None:
    """Once, unless told otherwise."""
    assert 2 == transaction_retry()(failing(1))()


def test_transaction_retry_gives_up() -> None:
    """And raises the last error."""
    with pytest.raises(DatabaseError, match="3"):
        transaction_retry(max_retries=2)(failing(9))()


def test_a_call_may_say_how_often() -> None:
    """As 2.6's callers did."""
    assert 5 == transaction_retry()(failing(4))(exception_retry_count=4)


def test_age_may_be_a_timedelta() -> None:
    """Or seconds."""
    write(states.SUCCESS)
    TaskResult.objects.update(date_done=datetime.now(timezone.utc) - timedelta(hours=2))
    assert 1 == TaskResult.objects.get_all_expired(timedelta(hours=1)).count()
    assert 1 == TaskResult.objects.get_all_expired(3600).count()
    assert 0 == TaskResult.objects.get_all_expired(3 * 3600).count()
