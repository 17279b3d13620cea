"""The storage ``django-db``: results, settings, groups, and the number of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.result import GroupResult
from kombu.exceptions import EncodeError

from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.models import GroupResult as GroupModel
from django_celery_results.models import TaskResult
from tests.backends.common import COMMITTED, make_like, make_row, row
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries, Settings

    from django_celery_results.records import DescribedStorage
    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = pytest.mark.django_db


# -- Results -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [None, True, 0, "text \x00 \ud800 🐘", [1, {"a": None}], {"k": [1.5]}, ""]
)
def test_a_result_is_read_back(backend: Any, value: Any) -> None:
    backend.mark_as_done("t1", value)
    assert value == backend.app.AsyncResult("t1").get(timeout=1)


@pytest.mark.parametrize("serializer", ["json", "yaml", "msgpack", "pickle"])
def test_every_serializer_of_celery_works(make_backend: MakeBackend, serializer: str) -> None:
    """It is selected by ``result_serializer``."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_done("t1", {"a": [1, 2]})
    assert {"a": [1, 2]} == make_like(make_backend, backend).get_result("t1")


def test_the_serializer_may_stand_in_the_url(make_backend: MakeBackend) -> None:
    """The URL takes precedence over the setting."""
    make_backend("django-db://?serializer=yaml").mark_as_done("t1", 1)
    assert "application/x-yaml" == row().content_type


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_an_exception_is_raised_again(make_backend: MakeBackend, serializer: str) -> None:
    """It has its arguments and its traceback."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_failure("t1", ValueError("bad", 1), traceback="Traceback …")
    result = backend.app.AsyncResult("t1")
    with pytest.raises(ValueError, match=r"\('bad', 1\)"):
        result.get(timeout=1)
    assert "Traceback …" == result.traceback


def test_an_unknown_task_is_pending(backend: Any) -> None:
    """Reading it makes no row."""
    assert states.PENDING == backend.get_state("none")
    assert not TaskResult.objects.exists()


def test_bytes_are_an_id_too(backend: Any) -> None:
    """Celery passes either."""
    backend.mark_as_done(b"t1", 1)
    assert 1 == backend.get_result(b"t1")


def test_forget_deletes_the_row(backend: Any) -> None:
    """Forgetting an unknown task does nothing."""
    backend.mark_as_done("t1", 1)
    backend.forget("t1")
    backend.forget("t1")
    assert not TaskResult.objects.exists()


def test_a_task_in_any_stored_state_exists(backend: Any) -> None:
    assert not backend.task_result_exists("t1")
    backend.mark_as_started("t1")
    assert backend.task_result_exists("t1")


def test_started_sets_date_started_from_the_databases_clock(backend: Any) -> None:
    """Later states keep it."""
    backend.mark_as_started("t1")
    started = row().date_started
    backend.mark_as_done("t1", 1)
    assert None is not started
    assert started == row().date_started
    assert abs((row().date_done - started).total_seconds()) < 60


@pytest.mark.parametrize("status", [states.STARTED, states.RETRY, "PROGRESS"])
def test_only_a_final_state_is_done(backend: Any, status: str) -> None:
    """Every write updates the column, but the meta leaves the date out until then."""
    backend.store_result("t1", None, status)
    assert None is backend.get_task_meta("t1")["date_done"]


def test_a_final_state_has_its_date(backend: Any) -> None:
    """The date is that of the row."""
    backend.mark_as_done("t1", 1)
    assert row().date_done == backend.get_task_meta("t1")["date_done"]


def test_extended_columns_hold_what_the_request_says(make_backend: MakeBackend) -> None:
    """With message protocol 2 the arguments are its reprs."""
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
    """Its messages do not carry reprs."""
    backend = make_backend(result_extended=True)
    backend.mark_as_done("t1", 1, request=request_of(args=[1], kwargs={"a": 2}))
    assert ("[1]", '{"a": 2}') == (row().task_args, row().task_kwargs)


def test_without_result_extended_the_columns_stay_null(backend: Any) -> None:
    backend.mark_as_done("t1", 1, request=request_of(task="add", argsrepr="(1,)"))
    assert (None, None) == (row().task_name, row().task_args)


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
    """This holds for the alias, the options, the path and the serializer."""
    with pytest.raises(BackendMisconfigured) as caught:
        make_backend(url)
    assert valid in str(caught.value)


def test_celery_gets_the_error_of_an_unserializable_result(backend: Any) -> None:
    """Celery then stores a failure."""
    with pytest.raises(EncodeError):
        backend.mark_as_done("t1", object())
    assert not TaskResult.objects.exists()


@pytest.mark.parametrize("attribute", ["meta", "args", "kwargs"])
def test_unserializable_meta_does_not_lose_a_failure(
    make_backend: MakeBackend, attribute: str
) -> None:
    """The reason for the failure is stored."""
    backend = make_backend(result_extended=True)
    request = request_of("t1", **{attribute: {"a": object()}})
    backend.mark_as_failure("t1", ValueError("why"), request=request)
    assert "why" == str(backend.get_result("t1"))


# -- Groups --------------------------------------------------------------------------


def test_a_group_is_restored(backend: Any) -> None:
    """It may contain groups."""
    inner = GroupResult("g2", [backend.app.AsyncResult("t2")], app=backend.app)
    members: list[Any] = [backend.app.AsyncResult("t1"), inner]
    group = GroupResult("g1", members, app=backend.app)
    group.save()
    assert group.as_tuple() == backend.restore_group("g1", cache=False).as_tuple()


def test_an_unknown_group_is_none(backend: Any) -> None:
    """Celery's own backends return the same."""
    assert None is backend.restore_group("none")


def test_a_group_is_deleted(backend: Any) -> None:
    """The results of its tasks stay."""
    GroupResult("g1", [], app=backend.app).save()
    backend.delete_group("g1")
    assert None is backend.restore_group("g1")


def test_an_unreadable_group_is_named(backend: Any) -> None:
    """The error also says what is wrong."""
    GroupModel.objects.create(group_id="g1", result="{")
    with pytest.raises(ResultUnreadable, match=r"group 'g1'.*corrupt"):
        backend.restore_group("g1")


# -- Queries -------------------------------------------------------------------------


@COMMITTED
def test_a_task_takes_one_query_to_store_and_one_to_read(
    make_backend: MakeBackend, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    backend = make_backend(result_cache_max=10)
    operations: list[tuple[int, Callable[[], Any]]] = [
        (1, lambda: backend.mark_as_started("t1")),
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
    for one in range(min(number, 10)):
        make_row(f"t{one}", result=str(one))
    ids = [f"t{one}" for one in range(number)]
    with django_assert_num_queries(1):
        found = list(backend.get_many(ids, max_iterations=1))
    assert min(number, 10) == len(found)


@COMMITTED
def test_a_saved_group_takes_one_query(
    backend: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Reading it takes one too."""
    with django_assert_num_queries(1):
        GroupResult("g1", [], app=backend.app).save()
    with django_assert_num_queries(1):
        backend.restore_group("g1", cache=False)


def test_only_the_contents_that_are_wanted_are_read(
    backend: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """A chord is joined from results alone, and its header may have long arguments."""
    backend.store_result("t1", 1, states.SUCCESS)
    with django_assert_num_queries(1) as captured:
        [found] = backend.results.load(["t1"], contents=["result"])
    assert ({"result": "1"}, states.SUCCESS) == (found.contents.fields, found.status)
    sql = captured.captured_queries[0]["sql"]
    assert "task_args" not in sql
    assert "traceback" not in sql


# -- What it says of itself ----------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "using"), [("django-db", "default"), ("django-db://secondary", "secondary")]
)
def test_storage_says_where_it_writes(make_backend: MakeBackend, url: str, using: str) -> None:
    """Plugins have named folders after the place: it stays as it is."""
    storage: DescribedStorage = make_backend(url).storage
    place = f"{using}-django_celery_results.taskresult"
    assert (using, place) == (storage.using, storage.place)


class Elsewhere:
    """A router that writes results to the second database."""

    def db_for_write(self, model: object, **hints: object) -> str:  # noqa: ARG002 - as Django calls it
        """Send everything there."""
        return "secondary"


def test_router_decides_where_it_writes(make_backend: MakeBackend, settings: Settings) -> None:
    """Where the URL names no alias."""
    settings.DATABASE_ROUTERS = [Elsewhere()]
    assert "secondary" == make_backend("django-db").storage.using
