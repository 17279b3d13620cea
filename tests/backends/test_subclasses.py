"""A site's subclass of 2.6's backends works as it did, or is refused with the method's name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results import hookimpl
from django_celery_results.backends import CacheBackend, DatabaseBackend
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.managers import TaskResultManager
from django_celery_results.models import ChordCounter, ChordPart, GroupResult, TaskResult
from django_celery_results.records import Coding

from . import subclasses
from .common import Chord, make_row, row
from .conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db

CALL = {"task": "add", "hostname": "w1", "argsrepr": "(1,)", "kwargsrepr": "{}"}


def make(make_backend: MakeBackend, name: str, **conf: Any) -> Any:
    """Return a backend of the class with this name in :mod:`tests.backends.subclasses`."""
    return make_backend(f"{subclasses.__name__}:{name}", **conf)


def read(backend: Any, task_id: str = "t1") -> dict[str, Any]:
    """Return the task's meta as another process reads it."""
    backend._cache.clear()
    meta: dict[str, Any] = backend.get_task_meta(task_id)
    return meta


# -- encode_content and decode_content -----------------------------------------------


def test_every_content_is_encoded_by_the_override(make_backend: MakeBackend) -> None:
    """A site that encrypts there has no plain text in its table, and reads it back."""
    backend = make(make_backend, "Encrypting", result_extended=True)
    request = request_of(**CALL, meta={"note": "secret"})
    backend.store_result("t1", {"plain": "secret"}, states.SUCCESS, request=request)
    stored = row()
    columns = (stored.result, stored.meta, stored.task_args, stored.task_kwargs)
    assert not [one for one in columns if "secret" in one or "(1,)" in one]
    assert "secret" == stored.content_encoding
    meta = read(backend)
    assert ({"plain": "secret"}, "secret", "(1,)") == (meta["result"], meta["note"], meta["args"])


def test_an_absent_value_is_encoded_like_any_other(make_backend: MakeBackend) -> None:
    """A result of None is a value; absent arguments stay absent."""
    backend = make(make_backend, "Encrypting")
    backend.store_result("t1", None, states.SUCCESS)
    assert ("llun", None) == (row().result, row().task_args)
    assert read(backend)["result"] is None


def test_failures_are_encoded_by_the_override_too(make_backend: MakeBackend) -> None:
    """The traceback is a text of its own, as in 2.6."""
    backend = make(make_backend, "Encrypting")
    backend.store_result("t1", ValueError("secret"), states.FAILURE, traceback="Traceback")
    assert ("secret" in row().result, row().traceback) == (False, "Traceback")
    assert "secret" == str(read(backend)["result"])
    assert ["t1"] == [one for one, _ in backend.get_many(["t1"])]


def test_groups_are_encoded_by_the_override(make_backend: MakeBackend) -> None:
    """The override gets a row of the group."""
    backend = make(make_backend, "Encrypting")
    subclasses.Encrypting.rows.clear()
    group = backend.app.GroupResult("g1", [backend.app.AsyncResult("t1")])
    backend.save_group("g1", group)
    assert "t1" not in GroupResult.objects.get().result
    assert group == backend.restore_group("g1", cache=False)
    (obj,) = subclasses.Encrypting.rows
    assert (GroupResult, "g1") == (type(obj), obj.group_id)


def test_the_override_that_decodes_gets_the_row(make_backend: MakeBackend) -> None:
    """It has the facts that the database has."""
    backend = make(make_backend, "Encrypting")
    backend.store_result("t1", 1, states.SUCCESS)
    subclasses.Encrypting.rows.clear()
    read(backend)
    obj = subclasses.Encrypting.rows[0]
    assert (TaskResult, "t1", states.SUCCESS) == (type(obj), obj.task_id, obj.status)


def test_arguments_that_are_not_encoded_are_read_as_they_are(make_backend: MakeBackend) -> None:
    """Releases before 2.0 stored a repr; anything else that cannot be read is an error."""
    backend = make(make_backend, "Encrypting")
    make_row(result="1", task_args="(1,)", content_encoding="secret")
    assert "(1,)" == read(backend)["args"]
    make_row("t2", result="{1", content_encoding="secret")
    (answer,) = backend.get_many(["t2"])
    assert states.FAILURE == answer[1]["status"]


def test_a_chord_passes_what_the_override_encoded(make_backend: MakeBackend) -> None:
    """Its body, and parts whose results expire soon, are encoded by the override as well."""
    conf = {"task_always_eager": True, "task_store_eager_result": True}
    chord = Chord(make(make_backend, "Encrypting", **conf))
    chord.start("a", "b")
    assert "body" not in ChordCounter.objects.get().body
    chord.done("a", 1)
    chord.done("b", 2, task="ignoring")
    assert [[1, 2]] == chord.sent


def test_a_patch_of_the_class_is_an_override(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some sites assign a function instead of deriving a class."""
    monkeypatch.setattr(
        DatabaseBackend, "encode_content", lambda *_: ("application/json", "utf-8", '{"a": 5}')
    )
    backend = make_backend("django-db")
    backend.store_result("t1", 1, states.SUCCESS)
    assert {"a": 5} == read(backend)["result"]


class Compressing:
    """A plugin with a coding that applies to some contents only."""

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Offer the coding."""
        yield Coding(name="half", encode=bytes, decode=bytes, only_if_smaller=True)
        yield Coding(name="whole", encode=bytes, decode=bytes)


def test_codings_that_always_apply_go_with_the_override(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The base class applies them."""
    registered(Compressing(), CODINGS=["whole"])
    backend = make(make_backend, "StoringAsBefore")
    backend.store_result("t1", 1, states.SUCCESS)
    assert ("utf-8, whole", 1) == (row().content_encoding, read(backend)["result"])
    make(make_backend, "Encrypting")


def test_a_coding_that_may_be_skipped_is_refused_with_the_override(
    make_backend: MakeBackend, registered: Register
) -> None:
    """A row has one encoding for all of its contents."""
    registered(Compressing(), CODINGS=["half"])
    with pytest.raises(BackendMisconfigured, match=r"Encrypting overrides encode_content.*'half'"):
        make(make_backend, "Encrypting")


def test_the_methods_of_other_storages_may_be_overridden(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object to decode is then a plain one, with the record's facts."""
    seen = []

    def decode_content(_backend: Any, obj: Any, content: Any) -> Any:
        seen.append((obj.task_id, obj.content_type))
        return content

    monkeypatch.setattr(CacheBackend, "decode_content", decode_content, raising=False)
    backend = make_backend("django-cache")
    backend.store_result("subclass-1", 1, states.SUCCESS)
    assert 1 == read(backend, "subclass-1")["result"]
    assert "subclass-1" == seen[0][0]


# -- What describes the call ---------------------------------------------------------


def describing(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, columns: Any, **conf: Any
) -> Any:
    """Return a backend whose override adds ``columns``."""
    monkeypatch.setattr(subclasses.Describing, "columns", columns)
    return make(make_backend, "Describing", **conf)


def test_columns_that_describe_the_call_are_those_of_the_override(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stored without ``result_extended`` too, and other columns of the row as well."""
    backend = describing(make_backend, monkeypatch, {"task_name": "renamed", "meta": '{"a": 1}'})
    backend.store_result("t1", 1, states.SUCCESS, request=request_of(**CALL, retries=3))
    stored = row()
    assert ("renamed", None, None) == (stored.task_name, stored.worker, stored.task_args)
    assert 1 == read(backend)["a"]
    assert "retries" not in read(backend)


def test_the_base_method_gives_what_result_extended_stores(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An override that adds to it loses nothing."""
    columns = {"worker": "w2", "no column": 1}
    backend = describing(make_backend, monkeypatch, columns, result_extended=True)
    request = request_of(**CALL)
    backend.store_result("t1", ValueError(), states.FAILURE, traceback="Tb", request=request)
    stored = row()
    assert ("add", "w2", "Tb") == (stored.task_name, stored.worker, stored.traceback)
    assert ('"(1,)"', "(1,)") == (stored.task_args, read(backend)["args"])


def test_arguments_of_the_override_need_not_be_encoded(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a text is stored and read as it is."""
    backend = describing(make_backend, monkeypatch, {"task_args": "<1 argument>"})
    backend.store_result("t1", 1, states.SUCCESS, request=request_of(**CALL))
    assert ("<1 argument>", "<1 argument>") == (row().task_args, read(backend)["args"])


def test_columns_of_one_task_do_not_reach_another(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result may be stored by another way afterwards."""
    backend = describing(make_backend, monkeypatch, {"task_kwargs": "{a}"})
    backend.store_result("t1", 1, states.SUCCESS)
    (stored,) = backend.results.load(["t1"])
    stored.task_id = "t2"
    backend.results.store(stored)
    backend.forget("t1")
    assert "{a}" == row("t2").task_kwargs  # It was loaded, not added.
    assert {} == dict(backend.storage.more_columns("t2"))


def test_the_override_of_the_meta_is_called(make_backend: MakeBackend) -> None:
    """It adds to what the task itself put there."""
    backend = make(make_backend, "Explaining")
    backend.store_result("t1", 1, states.SUCCESS, request=request_of(meta={"mine": 1}))
    meta = read(backend)
    assert (1, "north") == (meta["mine"], meta["site"])


@pytest.mark.parametrize("extended", [True, False])
def test_a_store_of_the_sites_own_works_as_in_2_6(
    make_backend: MakeBackend, extended: bool
) -> None:
    """It calls the helpers of 2.6 and its manager."""
    backend = make(make_backend, "StoringAsBefore", result_extended=extended)
    request = request_of(**CALL, meta={"mine": 1})
    backend.store_result("t1", None, states.STARTED, request=request)
    backend.store_result("t1", {"a": 1}, states.SUCCESS, request=request)
    stored = row()
    assert extended is ("add" == stored.task_name)
    assert stored.date_started is not None
    meta = read(backend)
    assert ({"a": 1}, 1, "(1,)" if extended else None) == (
        meta["result"],
        meta["mine"],
        meta["args"],
    )


# -- Other methods -------------------------------------------------------------------


def test_every_reader_calls_the_override_that_reads(make_backend: MakeBackend) -> None:
    """A group is then read task by task."""
    backend = make(make_backend, "Telling")
    backend.store_result("t1", 1, states.SUCCESS)
    assert read(backend)["told"]
    assert [True, True] == [one["told"] for one in backend.results.metas(["t1", "t2"]).values()]
    backend._cache.clear()
    assert [("t1", True)] == [(one, meta["told"]) for one, meta in backend.get_many(["t1"])]
    (stored,) = backend.results.load(["t1"])
    assert backend.results.meta(stored)["told"]


def test_one_unreadable_result_affects_no_other(make_backend: MakeBackend) -> None:
    """It is a failure with the error, as for any other backend."""
    backend = make(make_backend, "Telling")
    backend.store_result("t1", 1, states.SUCCESS)
    make_row("t2", result="{1")
    metas = backend.results.metas(["t1", "t2"])
    assert [states.SUCCESS, states.FAILURE] == [one["status"] for one in metas.values()]


def test_a_part_is_not_counted_before_the_override(make_backend: MakeBackend) -> None:
    """Else an override that counts by itself would count twice."""
    conf = {"task_always_eager": True, "task_store_eager_result": True}
    chord = Chord(make(make_backend, "Counting", **conf))
    subclasses.Counting.left.clear()
    chord.start("a", "b")
    chord.done("a", 1)
    chord.done("b", 2)
    assert ([0, 1], [[1, 2]]) == (subclasses.Counting.left, chord.sent)
    assert 0 == ChordPart.objects.count()


def test_a_manager_of_the_sites_own_stores_and_reads(make_backend: MakeBackend) -> None:
    """Each of its four methods is called."""
    backend = make(make_backend, "Labelled")
    backend.store_result("t1", 5, states.STARTED)
    backend.store_result("t1", 6, states.SUCCESS)
    assert ("L6", 6) == (row().result, read(backend)["result"])
    group = backend.app.GroupResult("g1", [backend.app.AsyncResult("t1")])
    backend.save_group("g1", group)
    assert GroupResult.objects.get().result.startswith("L")
    assert group == backend.restore_group("g1", cache=False)
    assert backend.restore_group("g2", cache=False) is None
    assert states.PENDING == read(backend, "t2")["status"]


def test_a_manager_of_the_sites_own_stores_parts(make_backend: MakeBackend) -> None:
    """A part is stored, and then counted."""
    conf = {"task_always_eager": True, "task_store_eager_result": True}
    chord = Chord(make(make_backend, "Labelled", **conf))
    chord.start("a", "b")
    chord.done("a", 1)
    chord.done("b", 2)
    assert ([[1, 2]], "L1") == (chord.sent, row("a").result)


def test_a_write_that_the_manager_drops_is_seen(make_backend: MakeBackend) -> None:
    """SUCCESS is final for a manager of the site's own too."""
    backend = make(make_backend, "Labelled")
    backend.store_result("t1", 6, states.SUCCESS)
    (stored,) = backend.results.load(["t1"])
    stored.status = states.FAILURE
    assert not backend.results.store(stored)


def test_pending_through_a_manager_of_the_sites_own(make_backend: MakeBackend) -> None:
    """An empty PENDING overwrites nothing, whatever the manager makes of it; progress does."""
    backend = make(make_backend, "Labelled")
    backend.store_result("t1", None, states.PENDING)
    assert states.PENDING == read(backend)["status"]
    backend.store_result("t1", 5, states.STARTED)
    backend.store_result("t1", None, states.PENDING)
    assert (states.STARTED, 5) == (row().status, read(backend)["result"])
    backend.store_result("t1", 6, states.PENDING)
    assert (states.PENDING, 6) == (row().status, read(backend)["result"])


def test_a_managers_queryset_may_change(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site may hide rows by the person who looks."""
    backend = make_backend()
    backend.store_result("t1", 1, states.SUCCESS)
    hidden = ["t1"]
    original = TaskResultManager.get_queryset

    def get_queryset(manager: Any) -> Any:
        return original(manager).exclude(task_id__in=hidden)

    monkeypatch.setattr(TaskResultManager, "get_queryset", get_queryset)
    assert states.PENDING == read(backend)["status"]
    hidden.clear()
    assert states.SUCCESS == read(backend)["status"]


# -- Refused -------------------------------------------------------------------------

REFUSED = [
    ("Setting", r"Setting overrides set,.*wrapper=True"),
    ("Managed", r"KeepingManager overrides delete_expired,.*before_expire"),
    ("Unmanaged", r"TaskResultManager.*is not a GroupResultManager"),
]


@pytest.mark.parametrize(("name", "message"), REFUSED)
def test_an_override_that_cannot_work_is_refused(
    make_backend: MakeBackend, name: str, message: str
) -> None:
    """The error names the method, and what to write instead."""
    with pytest.raises(BackendMisconfigured, match=message):
        make(make_backend, name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (DatabaseBackend, CacheBackend) for name in kind.refused],
)
def test_each_method_without_a_caller_is_refused(kind: Any, name: str) -> None:
    """The backend does not start with it."""
    derived = type("Derived", (kind,), {name: lambda *_: None})
    with pytest.raises(BackendMisconfigured, match=rf"Derived overrides {name}, "):
        derived(app=None)


@pytest.mark.parametrize("name", ["get_all_expired", "delete_expired"])
def test_each_method_of_managers_without_a_caller_is_refused(name: str) -> None:
    """Expiry does not go through the managers' methods."""
    manager = type("M", (TaskResultManager,), {name: lambda *_: None})()
    model = SimpleNamespace(_default_manager=manager, _meta=TaskResult._meta)
    derived = type("Derived", (DatabaseBackend,), {"TaskModel": model})
    with pytest.raises(BackendMisconfigured, match=rf"M overrides {name}, "):
        derived(app=None)


def test_a_model_without_the_new_columns_is_refused() -> None:
    """A site may have copied the fields of 2.6's model instead of deriving from it."""
    fields = [one for one in TaskResult._meta.concrete_fields if one.name != "date_expires"]
    meta = SimpleNamespace(concrete_fields=fields, label="site.Task")
    model = SimpleNamespace(_default_manager=TaskResult.objects, _meta=meta)
    derived = type("Derived", (DatabaseBackend,), {"TaskModel": model})
    with pytest.raises(BackendMisconfigured, match=r"site\.Task lacks the columns date_expires: "):
        derived(app=None)
