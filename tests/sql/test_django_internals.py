"""Django's private names: they do what the package expects, and results survive without them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
    utils,
)
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F
from django.db.models.deletion import Collector
from django.db.models.sql import Query

from django_celery_results.managers import WRITE
from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.records import ChordPart, ChordRecord
from django_celery_results.sql import django_internals, upserts
from django_celery_results.sql.django_internals import (
    Compiled,
    attempt,
    can_delete_unread,
    compile_insert,
    compile_select,
    compile_update,
    connection_of,
    is_end_of_transaction,
    pool_of,
)
from django_celery_results.sql.selects import SelectByKey
from django_celery_results.sql.upserts import find_upsert
from django_celery_results.storages.database import part_counting
from django_celery_results.storages.database.chords import DatabaseChords
from django_celery_results.storages.database.part_counting import count_quickly, store_and_count
from tests import settings as test_settings
from tests.rows import COMMITTED, JSON, row, write

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

FIELDS = {**JSON, "task_id": "t1", "status": states.SUCCESS, "result": "1"}
PART = ChordPart(group_id="c1", task_id="t1", status=states.SUCCESS)


def forget_statements() -> None:
    """Make the next use of each statement compile it again."""
    part_counting._counting.cache_clear()
    part_counting._steps.cache_clear()
    django_internals._logged.clear()


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No statement is there before the test, and those of the test do not outlive it."""
    monkeypatch.setattr(upserts, "_statements", {})
    forget_statements()
    yield
    forget_statements()


@pytest.fixture
def nothing_compiles(
    nothing_compiled: None,  # noqa: ARG001 - it comes first
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Django whose queries can be run, but not compiled for a connection."""
    get_compiler = Query.get_compiler

    def changed(query: Any, using: str | None = None, connection: Any = None, **rest: Any) -> Any:
        if using is None and not query.subquery:
            raise TypeError("get_compiler() missing 1 required positional argument: 'using'")
        return get_compiler(query, using, connection, **rest)

    monkeypatch.setattr(Query, "get_compiler", changed)


def select(*columns: str) -> SelectByKey:
    """Return what selects those columns of rows of tasks."""
    rows: Any = TaskResult.objects.order_by().values_list(*columns)
    return SelectByKey(rows, "task_id")


def start_chord(size: int) -> DatabaseChords:
    """Start the chord ``c1`` with so many parts."""
    chords = DatabaseChords(None)
    header = [[[f"t{number}", None], None] for number in range(size)]
    chords.start(ChordRecord(group_id="c1", size=size, results=header))
    return chords


def error_in(function: Any) -> Exception:
    """Return what ``function`` raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the caller looks at it
        function()
    return caught.value


# -- With them -----------------------------------------------------------------------


def test_an_insert_has_the_fields_that_it_is_given() -> None:
    """Their values are its parameters, in the order of the fields."""
    fields: list[Any] = [TaskResult._meta.get_field(name) for name in ("task_id", "status")]
    compiled = compile_insert(connection, fields, TaskResult(task_id="t1", status="OWN"))
    assert ["t1", "OWN"] == list(compiled.parameters)
    assert compiled.sql.startswith("INSERT INTO")


def test_an_update_changes_the_rows_of_the_queryset() -> None:
    """The change may be an expression."""
    start_chord(3)
    rows = ChordCounter.objects.filter(group_id="c1")
    compiled = compile_update(connection, rows, {"count": F("count") - 1})
    with connection.cursor() as cursor:
        cursor.execute(compiled.sql, compiled.parameters)
    assert 2 == ChordCounter.objects.get().count


def test_a_select_says_which_columns_are_converted() -> None:
    """Only PostgreSQL's driver returns dates with their time zone, as the model has them."""
    rows: Any = TaskResult.objects.order_by().values_list("status", "date_done")
    compiled = compile_select(connection, rows.filter(task_id="t1"))
    expected = [] if test_settings.DATABASE == "postgresql" else [1]
    assert ["t1"] == list(compiled.parameters)
    assert expected == [place for place, _ in compiled.converted]


@pytest.mark.usefixtures("nothing_compiled")
def test_nothing_takes_the_slower_way(caplog: pytest.LogCaptureFixture) -> None:
    """A supported Django does everything that is asked of its private names."""
    start_chord(2)
    write(states.SUCCESS)
    assert [["1"]] == [list(one) for one in select("result").fetch(connection, ["t1"])]
    assert count_quickly("default", PART)
    assert can_delete_unread(TaskResult.objects.all())
    assert "" == caplog.text


@pytest.mark.skipif(test_settings.DATABASE != "postgresql", reason="only PostgreSQL has a pool")
def test_a_connection_tells_its_pool() -> None:
    """The attribute is there; it is empty unless the settings ask for a pool."""
    assert hasattr(connections["default"], "pool")
    assert pool_of(connections["default"]) is None


# -- Without them --------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_compiles")
def test_a_row_is_written_without_a_compiled_statement() -> None:
    """The rules stay the same: SUCCESS is final, and a known worker is kept."""
    assert find_upsert(connection, TaskResult, WRITE, FIELDS) is None
    written = [write(states.STARTED, worker="w"), write(states.SUCCESS), write(states.FAILURE)]
    assert [True, True, False] == written
    assert (states.SUCCESS, "w") == (row().status, row().worker)


@pytest.mark.usefixtures("nothing_compiles")
def test_a_row_is_read_without_a_compiled_statement() -> None:
    """The values are those of the model."""
    write(states.SUCCESS)
    [found] = select("task_id", "date_done").fetch(connection, ["t1"])
    assert ("t1", row().date_done) == tuple(found)
    assert [] == list(select("task_id").fetch(connection, ["t2"]))


@pytest.mark.usefixtures("nothing_compiles")
def test_parts_are_counted_without_compiled_statements() -> None:
    """Each part counts once, under the lock, and the last one claims the body."""
    chords = start_chord(2)
    assert not count_quickly("default", PART)
    parts = [PART, PART, ChordPart(group_id="c1", task_id="t0", status=states.SUCCESS)]
    progress: list[Any] = [chords.part_returned(part) for part in parts]
    assert [(1, False), (1, False), (0, True)] == [(one.waiting, one.claimed) for one in progress]


@COMMITTED
def test_a_result_and_its_part_are_left_for_two_steps(request: pytest.FixtureRequest) -> None:
    """The statement that writes the row compiles, and the one that counts does not."""
    start_chord(2)
    upsert = find_upsert(connection, TaskResult, WRITE, FIELDS)
    assert upsert is not None
    request.getfixturevalue("nothing_compiles")
    assert store_and_count(connection, upsert, FIELDS, PART) is None
    assert (0, 2) == (TaskResult.objects.count(), ChordCounter.objects.get().count)


@pytest.mark.usefixtures("nothing_compiles")
def test_a_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The message has the error, the release of Django, and what to do."""
    for number in range(3):
        write(states.SUCCESS, f"t{number}", worker="w" * number)
    [record] = caplog.records
    assert "cannot compile the statement that writes a row with Django" in record.message
    assert "TypeError: get_compiler() missing" in record.message
    assert "Install a release" in record.message


@pytest.mark.usefixtures("nothing_compiled")
def test_unexpected_parameters_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ORM writes and reads instead."""
    strange = Compiled("SELECT broken", ["one", "two"])
    monkeypatch.setattr(upserts, "compile_insert", lambda *_: strange)
    monkeypatch.setattr("django_celery_results.sql.selects.compile_select", lambda *_: strange)
    assert find_upsert(connection, TaskResult, WRITE, FIELDS) is None
    write(states.SUCCESS)
    assert [states.SUCCESS] == [one for [one] in select("status").fetch(connection, ["t1"])]


def test_an_error_of_the_database_is_raised() -> None:
    """It does not come from a changed name, and the call may be retried."""

    def fail() -> None:
        raise OperationalError("gone away")

    with pytest.raises(OperationalError, match="gone away"):
        attempt("ask", fail)


@pytest.mark.usefixtures("nothing_compiled")
def test_rows_are_read_before_deletion_if_django_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches through the index are correct for every model."""
    monkeypatch.delattr(Collector, "can_fast_delete")
    assert not can_delete_unread(TaskResult.objects.all())


def test_an_error_marks_the_transaction_without_djangos_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transaction refuses queries, as after an error in one of Django's own methods."""
    write(states.STARTED)
    monkeypatch.delattr(transaction, "mark_for_rollback_on_error")
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            write(states.SUCCESS, content_type=None)
        with pytest.raises(transaction.TransactionManagementError):
            row()
        transaction.set_rollback(True)
    assert states.STARTED == row().status


def test_an_error_tells_no_connection_without_djangos_wrapper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Callers then assume the connection of the storage."""
    fail = transaction.atomic(TaskResult.objects.extra(where=["no"]).count)
    error = error_in(fail)
    assert isinstance(error, DatabaseError)
    assert connections["default"] is connection_of(error)
    with monkeypatch.context() as patch:
        patch.delattr(utils, "DatabaseErrorWrapper")
        assert connection_of(error) is None


def test_the_end_of_a_transaction_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The frame of the method that turns autocommit on tells."""

    def fail(*_: Any) -> None:
        raise OperationalError("gone away")

    own = connection.copy()
    monkeypatch.setattr(own, "_set_autocommit", fail)
    monkeypatch.setattr(own, "get_autocommit", lambda: False)
    monkeypatch.setattr(own, "ensure_connection", lambda: None)
    error = error_in(partial(own.set_autocommit, True))
    assert is_end_of_transaction(error)
    with monkeypatch.context() as patch:
        patch.delattr(BaseDatabaseWrapper, "set_autocommit")
        assert not is_end_of_transaction(error)
