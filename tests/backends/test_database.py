"""The storage ``django-db``: rows, routers, lost connections."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.backends.base import Backend
from celery.result import GroupResult
from celery.utils.serialization import b64encode
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from kombu.exceptions import EncodeError

from django_celery_results.backends import DatabaseBackend
from django_celery_results.exceptions import BackendMisconfigured, IdTooLong, ResultUnreadable
from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.models import GroupResult as GroupModel
from tests import settings as test_settings

from .conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper
    from pytest_django import DjangoAssertNumQueries, Settings

    from .conftest import MakeBackend, UsePlugins

BOTH = pytest.mark.django_db(databases=["default", "secondary"])
COMMITTED = pytest.mark.django_db(transaction=True)
SERVER = pytest.mark.skipif(test_settings.DATABASE == "sqlite", reason="SQLite has no server")

pytestmark = pytest.mark.django_db


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend with Celery's usual settings."""
    return make_backend()


def row(task_id: str = "t1") -> Any:
    """Return the row as the database has it."""
    return TaskResult.objects.get(task_id=task_id)


def make_row(task_id: str = "t1", **columns: Any) -> Any:
    """Make a row as 2.6 would have."""
    known = {"content_type": "application/json", "content_encoding": "utf-8"}
    return TaskResult.objects.create(
        task_id=task_id, **{**known, "status": states.SUCCESS, **columns}
    )


# -- Results -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, True, 0, "text \x00 \ud800 🐘", [1, {"a": None}], {"k": [1.5]}, ""]
)
def test_a_result_is_read_back(backend: Any, value: Any) -> None:
    """As it was stored."""
    backend.mark_as_done("t1", value)
    assert value == backend.app.AsyncResult("t1").get(timeout=1)


@pytest.mark.parametrize("serializer", ["json", "yaml", "msgpack", "pickle"])
def test_every_serializer_of_celery_is_stored(make_backend: MakeBackend, serializer: str) -> None:
    """Selected by result_serializer."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_done("t1", {"a": [1, 2]})
    assert {"a": [1, 2]} == make_like(make_backend, backend).get_result("t1")


def make_like(make_backend: MakeBackend, backend: Any) -> Any:
    """Return another backend, with nothing cached, that accepts what the first one writes."""
    return make_backend(result_accept_content=backend.app.conf.result_accept_content)


def test_the_serializer_may_stand_in_the_url(make_backend: MakeBackend) -> None:
    """And counts more than the setting."""
    make_backend("django-db://?serializer=yaml").mark_as_done("t1", 1)
    assert "application/x-yaml" == row().content_type


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_an_exception_is_raised_again(make_backend: MakeBackend, serializer: str) -> None:
    """With its arguments and the traceback."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_failure("t1", ValueError("bad", 1), traceback="Traceback …")
    result = backend.app.AsyncResult("t1")
    with pytest.raises(ValueError, match=r"\('bad', 1\)"):
        result.get(timeout=1)
    assert "Traceback …" == result.traceback


def test_an_unknown_task_is_pending(backend: Any) -> None:
    """And makes no row."""
    assert states.PENDING == backend.get_state("none")
    assert not TaskResult.objects.exists()


def test_bytes_are_an_id_too(backend: Any) -> None:
    """Celery passes either."""
    backend.mark_as_done(b"t1", 1)
    assert 1 == backend.get_result(b"t1")


def test_forget_deletes_the_row(backend: Any) -> None:
    """And an unknown one is no error."""
    backend.mark_as_done("t1", 1)
    backend.forget("t1")
    backend.forget("t1")
    assert not TaskResult.objects.exists()


def test_a_result_is_seen_when_it_was_only_written(backend: Any) -> None:
    """task_result_exists says so."""
    assert not backend.task_result_exists("t1")
    backend.mark_as_started("t1")
    assert backend.task_result_exists("t1")


def test_started_sets_date_started_from_the_databases_clock(backend: Any) -> None:
    """And what is stored later keeps it."""
    backend.mark_as_started("t1")
    started = row().date_started
    backend.mark_as_done("t1", 1)
    assert None is not started
    assert started == row().date_started
    assert abs((row().date_done - started).total_seconds()) < 60


@pytest.mark.parametrize("status", [states.STARTED, states.RETRY, "PROGRESS"])
def test_only_a_final_state_is_done(backend: Any, status: str) -> None:
    """The column moves, the meta says nothing."""
    backend.store_result("t1", None, status)
    assert None is backend.get_task_meta("t1")["date_done"]


def test_a_final_state_has_its_date(backend: Any) -> None:
    """The row's own."""
    backend.mark_as_done("t1", 1)
    assert row().date_done == backend.get_task_meta("t1")["date_done"]


def test_extended_columns_hold_what_the_request_says(make_backend: MakeBackend) -> None:
    """The encoded reprs of protocol 2."""
    backend = make_backend(result_extended=True)
    request = request_of(
        task="add", hostname="w1", argsrepr="(1,)", kwargsrepr="{}", periodic_task_name="nightly"
    )
    backend.mark_as_done("t1", 1, request=request)
    assert ("add", "w1", '"(1,)"', '"{}"', "nightly") == (
        row().task_name,
        row().worker,
        row().task_args,
        row().task_kwargs,
        row().periodic_task_name,
    )


def test_protocol_1_has_the_values(make_backend: MakeBackend) -> None:
    """As its messages do."""
    backend = make_backend(result_extended=True)
    backend.mark_as_done("t1", 1, request=request_of(args=[1], kwargs={"a": 2}))
    assert ("[1]", '{"a": 2}') == (row().task_args, row().task_kwargs)


def test_without_result_extended_nothing_is_told(backend: Any) -> None:
    """The columns stay NULL."""
    backend.mark_as_done("t1", 1, request=request_of(task="add", argsrepr="(1,)"))
    assert (None, None) == (row().task_name, row().task_args)


# -- Rows of 2.6, and rows that are broken -------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"result": '{"a": 1}'}, {"a": 1}),
        ({"result": "a: 1\n", "content_type": "application/x-yaml"}, {"a": 1}),
        (
            {
                "result": b64encode(pickle.dumps({"a": 1})),
                "content_type": "application/x-python-serialize",
                "content_encoding": "binary",
            },
            {"a": 1},
        ),
        ({"result": None}, None),
    ],
)
def test_rows_of_2_6_are_read(
    make_backend: MakeBackend, columns: dict[str, Any], expected: Any
) -> None:
    """Text and binary."""
    make_row(**columns)
    assert expected == make_backend(result_accept_content=["json", "yaml", "pickle"]).get_result(
        "t1"
    )


def test_bare_reprs_are_read(backend: Any) -> None:
    """Under both names."""
    make_row(result="1", task_args="(1, 2)", task_kwargs="{'a': 1}")
    meta = backend.get_task_meta("t1")
    assert ("(1, 2)", "(1, 2)", "{'a': 1}") == (meta["args"], meta["task_args"], meta["kwargs"])


@pytest.mark.parametrize("empty", ["", None])
def test_a_hand_made_row_without_content_type_is_pending(backend: Any, empty: str | None) -> None:
    """Sites create rows when they send tasks."""
    TaskResult.objects.create(task_id="t1", result=empty)
    assert states.PENDING == backend.get_state("t1")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"result": "{"}, "result is corrupt"),
    ({"meta": "{", "result": "1"}, "meta is corrupt"),
    ({"meta": "[1]", "result": "1"}, "not one of Celery's"),
    ({"result": "1", "content_type": "application/x-none"}, "application/x-none"),
    ({"result": "eA==", "content_encoding": "utf-8, rot13"}, "'rot13' is not installed"),
    ({"result": "eA==", "content_type": "application/x-python-serialize"}, "result_accept_content"),
    ({"result": '"text"', "status": states.FAILURE}, "not one of Celery's"),
]


@pytest.mark.parametrize(("columns", "missing"), BROKEN)
def test_a_broken_row_is_named_with_what_is_missing(
    backend: Any, columns: dict[str, Any], missing: str
) -> None:
    """On that result alone."""
    make_row(**columns)
    with pytest.raises(ResultUnreadable, match=r"'t1'.*") as caught:
        backend.get_task_meta("t1")
    assert missing in str(caught.value)


@pytest.mark.parametrize(("columns", "missing"), BROKEN)
def test_among_many_a_broken_row_spoils_no_other(
    backend: Any, columns: dict[str, Any], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a failure with its error; the others are what they are."""
    make_row("good", result="1")
    make_row("bad", **columns)
    metas = dict(backend.get_many(["bad", "good"], timeout=5))
    assert 1 == metas["good"]["result"]
    assert missing in str(metas["bad"]["result"])
    assert "The result of task bad cannot be read" in caplog.text


# -- What does not fit ---------------------------------------------------------------


def test_an_id_longer_than_its_column_never_reaches_the_database(
    backend: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The error names the setting."""
    with (
        django_assert_num_queries(0),
        pytest.raises(IdTooLong, match="DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH"),
    ):
        backend.mark_as_done("t" * 256, 1)


@pytest.mark.parametrize("what", ["group", "chord"])
def test_a_group_id_longer_than_its_column_never_reaches_the_database(
    backend: Any, what: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Groups and chords alike."""
    save: Callable[[], Any] = {
        "group": GroupResult("g" * 256, [], app=backend.app).save,
        "chord": lambda: backend.apply_chord(("g" * 256, []), None),
    }[what]
    with django_assert_num_queries(0), pytest.raises(IdTooLong, match="group_id"):
        save()


def test_the_longest_id_is_stored(backend: Any) -> None:
    """To the last character."""
    backend.mark_as_done("ä" * 255, 1)
    assert 1 == backend.get_result("ä" * 255)


@pytest.mark.parametrize("text", ["NUL \x00", "lone \ud800"])
def test_unstorable_text_loses_no_failure(make_backend: MakeBackend, text: str) -> None:
    """Not in the traceback, nor in names, nor in the exception."""
    backend = make_backend(result_extended=True)
    request = request_of(task=text, hostname=text, periodic_task_name=text, argsrepr=text)
    backend.mark_as_failure("t1", ValueError(text), traceback=text, request=request)
    assert states.FAILURE == row().status
    assert text == str(backend.get_result("t1"))


def test_unstorable_text_in_a_state_is_spelt(backend: Any) -> None:
    """A custom state is anybody's word."""
    backend.store_result("t1", None, "A\x00B")
    assert "A\\x00B" == row().status


@pytest.mark.parametrize(
    ("attribute", "column", "length"),
    [("hostname", "worker", 100), ("task", "task_name", 255), ("periodic_task_name",) * 2 + (255,)],
)
def test_too_long_names_are_shortened_visibly(
    make_backend: MakeBackend, attribute: str, column: str, length: int
) -> None:
    """And the result is not lost."""
    backend = make_backend(result_extended=True)
    backend.mark_as_done("t1", 1, request=request_of(**{attribute: "n" * 300}))
    assert "n" * (length - 1) + "…" == getattr(row(), column)


@pytest.mark.parametrize("serializer", ["yaml", "msgpack", "pickle"])
def test_unstorable_text_in_a_result_comes_back(make_backend: MakeBackend, serializer: str) -> None:
    """Whether or not the serializer escapes it."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_done("t1", "a\x00b")
    assert "a\x00b" == make_like(make_backend, backend).get_result("t1")


# -- Codings -------------------------------------------------------------------------


def test_codings_reach_every_column(make_backend: MakeBackend, use_plugins: UsePlugins) -> None:
    """Nothing is left to be read in the row."""
    use_plugins(CODINGS=["gzip"])
    backend = make_backend(result_extended=True)
    request = request_of(argsrepr="secret", kwargsrepr="secret", meta={"k": "secret"})
    backend.mark_as_failure("t1", ValueError("secret"), traceback="secret", request=request)
    stored = row()
    assert "utf-8, application/x-gzip" == stored.content_encoding
    for column in ("result", "traceback", "meta", "task_args", "task_kwargs"):
        assert "secret" not in getattr(stored, column)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_coded_rows_stay_readable_when_codings_are_switched_off(
    make_backend: MakeBackend, use_plugins: UsePlugins, serializer: str
) -> None:
    """The row says all that is needed."""
    use_plugins(CODINGS=["gzip", "bzip2"])
    conf = {"result_serializer": serializer, "result_accept_content": [serializer]}
    make_backend(**conf).mark_as_failure("t1", ValueError("x"), traceback="trace")
    use_plugins(CODINGS=[])
    meta = make_backend(**conf).get_task_meta("t1")
    assert ("x", "trace") == (str(meta["result"]), meta["traceback"])


def test_a_coding_that_is_not_installed_is_a_misconfiguration(
    make_backend: MakeBackend, use_plugins: UsePlugins
) -> None:
    """Listing those that are."""
    use_plugins(CODINGS=["rot13"])
    with pytest.raises(BackendMisconfigured, match=r"'rot13'.*application/x-gzip"):
        make_backend()


@pytest.mark.skipif(
    not hasattr(Backend, "prepare_compression"), reason="result_compression came with Celery 5.7"
)
def test_result_compression_is_a_coding(make_backend: MakeBackend, use_plugins: UsePlugins) -> None:
    """Applied before those of CODINGS."""
    use_plugins(CODINGS=["identity"])
    backend = make_backend(result_compression="gzip")
    backend.mark_as_done("t1", "text")
    assert "utf-8, application/x-gzip, identity" == row().content_encoding
    assert "text" == make_backend().get_result("t1")


def test_arguments_kept_from_another_encoding_lose_no_result(
    make_backend: MakeBackend, use_plugins: UsePlugins
) -> None:
    """They are read as they stand."""
    make_backend(result_extended=True).store_result(
        "t1", None, states.STARTED, request=request_of(argsrepr="(1,)")
    )
    use_plugins(CODINGS=["gzip"])
    make_backend().mark_as_done("t1", 7)
    meta = make_backend().get_task_meta("t1")
    assert (7, '"(1,)"') == (meta["result"], meta["args"])


# -- Wrong settings ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("django-db://second", "Did you mean 'secondary'? Valid: default, secondary"),
        ("django-db://?serialiser=json", "Did you mean 'serializer'? Valid: serializer"),
        ("django-db://default/path", "Valid: none"),
        ("django-db://?serializer=jsn", "Installed: json"),
    ],
)
def test_a_wrong_url_lists_what_is_valid(make_backend: MakeBackend, url: str, valid: str) -> None:
    """Alias, option, path and serializer."""
    with pytest.raises(BackendMisconfigured) as caught:
        make_backend(url)
    assert valid in str(caught.value)


def test_an_unserializable_result_is_celerys_affair(backend: Any) -> None:
    """It makes a failure of it."""
    with pytest.raises(EncodeError):
        backend.mark_as_done("t1", object())
    assert not TaskResult.objects.exists()


@pytest.mark.parametrize("attribute", ["meta", "args", "kwargs"])
def test_what_is_unserializable_beside_it_loses_no_failure(
    make_backend: MakeBackend, attribute: str
) -> None:
    """The reason is stored."""
    backend = make_backend(result_extended=True)
    request = request_of("t1", **{attribute: {"a": object()}})
    backend.mark_as_failure("t1", ValueError("why"), request=request)
    assert "why" == str(backend.get_result("t1"))


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


# -- Groups --------------------------------------------------------------------------


def test_a_group_is_restored(backend: Any) -> None:
    """With groups in it."""
    inner = GroupResult("g2", [backend.app.AsyncResult("t2")], app=backend.app)
    members: list[Any] = [backend.app.AsyncResult("t1"), inner]
    group = GroupResult("g1", members, app=backend.app)
    group.save()
    assert group.as_tuple() == backend.restore_group("g1", cache=False).as_tuple()


def test_an_unknown_group_is_none(backend: Any) -> None:
    """As with Celery's own backends."""
    assert None is backend.restore_group("none")


def test_a_group_is_deleted(backend: Any) -> None:
    """Its results stay."""
    GroupResult("g1", [], app=backend.app).save()
    backend.delete_group("g1")
    assert None is backend.restore_group("g1")


def test_an_unreadable_group_is_named(backend: Any) -> None:
    """With what is wrong."""
    GroupModel.objects.create(group_id="g1", result="{")
    with pytest.raises(ResultUnreadable, match=r"group 'g1'.*corrupt"):
        backend.restore_group("g1")


# -- Queries -------------------------------------------------------------------------


@COMMITTED
def test_queries_of_a_task(
    make_backend: MakeBackend, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Two for the first store, one for each later one, one to read."""
    backend = make_backend(result_cache_max=10)
    operations: list[tuple[int, Callable[[], Any]]] = [
        (2, lambda: backend.mark_as_started("t1")),
        (1, lambda: backend.mark_as_done("t1", 1)),
        (1, lambda: backend.get_task_meta("t1")),
        (0, lambda: backend.get_task_meta("t1")),
        # One, in the transaction that Django makes for a queryset's deletion.
        (3, lambda: backend.forget("t1")),
    ]
    for expected, operation in operations:
        with django_assert_num_queries(expected):
            operation()


@COMMITTED
@pytest.mark.parametrize("number", [1, 10, 999])
def test_many_are_read_in_one_query(
    backend: Any, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """As many as go into one."""
    for one in range(min(number, 10)):
        make_row(f"t{one}", result=str(one))
    ids = [f"t{one}" for one in range(number)]
    with django_assert_num_queries(1):
        found = list(backend.get_many(ids, max_iterations=1))
    assert min(number, 10) == len(found)


@COMMITTED
def test_a_saved_group_takes_two_queries(
    backend: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """And reading it one."""
    with django_assert_num_queries(2):
        GroupResult("g1", [], app=backend.app).save()
    with django_assert_num_queries(1):
        backend.restore_group("g1", cache=False)


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
