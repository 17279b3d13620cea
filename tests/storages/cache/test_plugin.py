"""The storage ``django-cache``: results in each of Django's caches."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.result import GroupResult
from django.core.cache import caches

from django_celery_results.exceptions import ResultUnreadable
from tests.backends.common import KEY
from tests.backends.conftest import request_of
from tests.processes import at_once, store_results

if TYPE_CHECKING:
    from django_celery_results.records import DescribedStorage
    from django_celery_results.testing.fixtures import MakeBackend, Register


class Plain:
    """A value that JSON cannot hold."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain)

    __hash__ = None  # type: ignore[assignment]  # equal by what they are, and never keys


class CustomError(Exception):
    """An exception of the site."""


@pytest.fixture
def backend(make_backend: MakeBackend, results_cache: str) -> Any:
    """A backend on each cache in turn."""
    return make_backend(f"django-cache://{results_cache}")


# -- Results -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "text \x00 \ud800", {"a": [1]}, Plain(), (1, 2)])
def test_any_object_is_read_back(backend: Any, value: Any) -> None:
    """The cache pickles it."""
    backend.mark_as_done("t1", value)
    assert (states.SUCCESS, value) == (backend.get_state("t1"), backend.get_result("t1"))


def test_a_real_exception_is_read_back(backend: Any) -> None:
    """It keeps its class."""
    backend.mark_as_failure("t1", CustomError("bad", 1), traceback="Traceback …")
    meta = backend.get_task_meta("t1")
    assert isinstance(meta["result"], CustomError)
    assert (("bad", 1), "Traceback …") == (meta["result"].args, meta["traceback"])


@pytest.mark.parametrize("status", [states.STARTED, states.FAILURE, states.PENDING, states.SUCCESS])
def test_success_is_final(backend: Any, status: str) -> None:
    """This holds for any later state."""
    backend.mark_as_done("t1", 1)
    backend.store_result("t1", 2, status)
    assert (states.SUCCESS, 1) == (backend.get_state("t1"), backend.get_result("t1"))


@pytest.mark.parametrize("status", [states.STARTED, states.FAILURE, "PROGRESS"])
def test_pending_overwrites_nothing(backend: Any, status: str) -> None:
    """PENDING from publish time may be stored last."""
    backend.store_result("t1", None, status)
    backend.store_result("t1", None, states.PENDING)
    assert status == backend.get_state("t1")


def test_other_states_are_overwritten(backend: Any) -> None:
    backend.mark_as_started("t1")
    backend.mark_as_failure("t1", ValueError("x"))
    backend.mark_as_done("t1", 5)
    assert 5 == backend.get_result("t1")


def test_an_unknown_task_is_pending(backend: Any) -> None:
    assert states.PENDING == backend.get_state("none")


def test_many_are_read_at_once(backend: Any) -> None:
    """Unknown tasks are left out."""
    for one in range(3):
        backend.mark_as_done(f"t{one}", one)
    found = backend.get_many(["t0", "none", "t1", "t2"], max_iterations=1)
    assert {"t0": 0, "t1": 1, "t2": 2} == {key: meta["result"] for key, meta in found}


def test_forget_deletes(backend: Any) -> None:
    """Forgetting an unknown task does nothing."""
    backend.mark_as_done("t1", 1)
    backend.forget("t1")
    backend.forget("t1")
    assert not backend.task_result_exists("t1")


def test_groups_are_saved_restored_and_deleted(backend: Any) -> None:
    group = GroupResult("g1", [backend.app.AsyncResult("t1")], app=backend.app)
    group.save()
    assert group == backend.restore_group("g1", cache=False)
    backend.delete_group("g1")
    assert None is backend.restore_group("g1", cache=False)


def test_cleanup_leaves_expiry_to_the_cache(backend: Any) -> None:
    backend.mark_as_done("t1", 1)
    backend.cleanup()
    assert backend.task_result_exists("t1")


@pytest.mark.parametrize("key", ["key", b"key"])
def test_keys_may_be_text_or_bytes(backend: Any, key: str | bytes) -> None:
    """Celery's own key-value backends pass both."""
    backend.set(key, {"a": 1})
    assert {"a": 1} == backend.get(key)
    backend.delete(key)
    assert None is backend.get(key)


def test_extended_facts_come_back(make_backend: MakeBackend, results_cache: str) -> None:
    """The arguments come back as objects, as in Celery's key-value backends."""
    backend = make_backend(f"django-cache://{results_cache}", result_extended=True)
    request = request_of(
        task="add",
        hostname="w",
        args=[1],
        kwargs={"a": 2},
        retries=3,
        delivery_info={"routing_key": "q"},
        group="g1",
        parent_id="p1",
        meta={"own": 1},
        stamped_headers=["status"],
        stamps={"status": "mine"},
    )
    backend.mark_as_done("t1", 1, request=request)
    meta = backend.get_task_meta("t1")
    known = {key: meta[key] for key in ("name", "worker", "args", "kwargs", "retries", "queue")}
    assert known == {
        "name": "add",
        "worker": "w",
        "args": [1],
        "kwargs": {"a": 2},
        "retries": 3,
        "queue": "q",
    }
    assert (states.SUCCESS, "g1", "p1", 1) == (
        meta["status"],
        meta["group_id"],
        meta["parent_id"],
        meta["own"],
    )
    assert isinstance(meta["date_done"], datetime)


@pytest.mark.parametrize("name", ["contents", "content_type", "status", "result", "args"])
def test_a_tasks_own_meta_hides_nothing(cache_backend: Any, name: str) -> None:
    """Its keys may be any."""
    cache_backend.mark_as_done("t1", 7, request=request_of(meta={name: "mine"}))
    assert (states.SUCCESS, 7) == (cache_backend.get_state("t1"), cache_backend.get_result("t1"))


def test_stamps_come_back(make_backend: MakeBackend) -> None:
    """They have their own names."""
    backend = make_backend("django-cache", result_extended=True)
    backend.forget("t1")
    request = request_of(stamped_headers=["tenant"], stamps={"tenant": 7})
    backend.mark_as_done("t1", 1, request=request)
    assert 7 == backend.get_task_meta("t1")["tenant"]


# -- What stands in the cache --------------------------------------------------------


def test_the_meta_of_2_6_is_read(cache_backend: Any) -> None:
    """It is a dict with Celery's own keys."""
    caches["default"].set(
        KEY,
        {
            "status": states.FAILURE,
            "result": CustomError("x"),
            "traceback": "trace",
            "children": [],
            "date_done": "2024-01-02T03:04:05+00:00",
            "task_id": "t1",
            "name": "add",
            "args": (1,),
            "own": 5,
        },
    )
    meta = cache_backend.get_task_meta("t1")
    assert isinstance(meta["result"], CustomError)
    assert ("trace", "add", (1,), 5, datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)) == (
        meta["traceback"],
        meta["name"],
        meta["args"],
        meta["own"],
        meta["date_done"],
    )


def test_2_6_reads_what_is_written(cache_backend: Any) -> None:
    """The keys are Celery's own."""
    cache_backend.mark_as_done("t1", 1, request=request_of(meta={"own": 5}))
    stored = caches["default"].get(KEY)
    assert (states.SUCCESS, 1, [], 5) == (
        stored["status"],
        stored["result"],
        stored["children"],
        stored["own"],
    )
    assert isinstance(stored["date_done"], str)


@pytest.mark.parametrize("stored", ["text", 5, b"bytes", ""])
def test_a_value_that_is_not_a_result_is_an_error(cache_backend: Any, stored: Any) -> None:
    """Only reading that key raises."""
    caches["default"].set(KEY, stored)
    with pytest.raises(ResultUnreadable, match="'t1'"):
        cache_backend.get_task_meta("t1")


def test_a_value_that_is_not_a_result_does_not_affect_others(
    cache_backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as a failure with its error."""
    caches["default"].set(KEY, "text")
    cache_backend.mark_as_done("t2", 2)
    metas = dict(cache_backend.get_many(["t1", "t2"], timeout=5))
    assert (states.FAILURE, 2) == (metas["t1"]["status"], metas["t2"]["result"])
    assert "t1" in caplog.text


@pytest.mark.parametrize("url", ["django-cache", "django-cache://?serializer=json"])
def test_what_was_known_is_kept(make_backend: MakeBackend, own_cache_keys: Any, url: str) -> None:
    """A later state without name and arguments keeps those of the earlier one."""
    own_cache_keys("default")
    backend = make_backend(url, result_extended=True)
    request = request_of(task="shop.pay", hostname="w", args=[1], kwargs={})
    backend.store_result("t1", None, states.STARTED, request=request)
    before = backend.get_task_meta("t1", cache=False)

    backend.store_result("t1", 5, states.SUCCESS)

    meta = backend.get_task_meta("t1", cache=False)
    names = ("name", "worker", "args", "kwargs")
    assert [before[name] for name in names] == [meta[name] for name in names]
    assert ("shop.pay", "w", 5) == (meta["name"], meta["worker"], meta["result"])


def test_arguments_that_were_encoded_otherwise_are_not_kept(
    make_backend: MakeBackend, own_cache_keys: Any
) -> None:
    """They could not be decoded. Facts that are not encoded are kept."""
    own_cache_keys("default")
    request = request_of(task="shop.pay", args=[1])
    conf = {"result_extended": True, "result_accept_content": ["json", "yaml"]}
    first = make_backend("django-cache://?serializer=yaml", **conf)
    first.store_result("t1", None, states.STARTED, request=request)
    backend = make_backend("django-cache://?serializer=json", **conf)

    backend.store_result("t1", 5, states.SUCCESS)

    meta = backend.get_task_meta("t1", cache=False)
    assert ("shop.pay", None, 5) == (meta["name"], meta["args"], meta["result"])


def test_a_value_that_is_not_a_result_is_overwritten(cache_backend: Any) -> None:
    """It was not a task's SUCCESS."""
    caches["default"].set(KEY, "text")
    cache_backend.mark_as_done("t1", 1)
    assert 1 == cache_backend.get_result("t1")


# -- Serializers and codings ---------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "yaml", "pickle"])
def test_a_serializer_in_the_url_stores_text(
    make_backend: MakeBackend, results_cache: str, serializer: str
) -> None:
    """It suits caches that others can write to."""
    backend = make_backend(
        f"django-cache://{results_cache}?serializer={serializer}", accept_content=[serializer]
    )
    backend.mark_as_failure("t1", ValueError("x"), traceback="trace")
    assert isinstance(caches[results_cache].get(KEY)["contents"]["result"], str)
    meta = backend.get_task_meta("t1")
    assert ("x", "trace") == (str(meta["result"]), meta["traceback"])


def test_groups_are_encoded_too(make_backend: MakeBackend) -> None:
    backend = make_backend("django-cache://default?serializer=json")
    group = GroupResult("g1", [backend.app.AsyncResult("t1")], app=backend.app)
    group.save()
    assert isinstance(backend.get(backend.get_key_for_group("g1"))["contents"]["result"], str)
    assert group == backend.restore_group("g1", cache=False)


def test_codings_store_text_that_can_be_read_back(
    make_backend: MakeBackend, registered: Register
) -> None:
    """Celery's settings name the serializer and accept it."""
    registered(CODINGS=["gzip"])
    backend = make_backend("django-cache")
    backend.forget("t1")
    backend.mark_as_failure("t1", ValueError("secret"), traceback="secret")
    stored = caches["default"].get(KEY)
    assert ("application/json", "utf-8, application/x-gzip") == (
        stored["content_type"],
        stored["content_encoding"],
    )
    assert "secret" not in repr(stored)
    registered(CODINGS=[])
    assert "secret" == str(make_backend("django-cache").get_result("t1"))


# -- What it says of itself ----------------------------------------------------------


@pytest.mark.parametrize(
    ("alias", "using"), [("default", None), ("database", "default")], ids=["memory", "database"]
)
def test_storage_says_where_it_writes(
    make_backend: MakeBackend, alias: str, using: str | None
) -> None:
    """Only one of Django's caches is in a database. Plugins have named folders after the place."""
    storage: DescribedStorage = make_backend(f"django-cache://{alias}").storage
    assert (using, f"{alias}-cache") == (storage.using, storage.place)


# -- Several processes ---------------------------------------------------------------


@pytest.mark.races
def test_many_writers_of_one_id_at_once_keep_one_success(
    make_backend: MakeBackend, shared_cache: str
) -> None:
    """Eight processes write every state in any order."""
    url, rounds = f"django-cache://{shared_cache}", 8
    won: dict[str, Any] = {}
    for results in at_once(8, store_results, url, rounds):
        assert not won.keys() & results.keys()
        won |= results
    backend = make_backend(url)
    assert won == {f"t{one}": backend.get_result(f"t{one}") for one in range(rounds)}
    assert {states.SUCCESS} == {backend.get_state(task_id) for task_id in won}
