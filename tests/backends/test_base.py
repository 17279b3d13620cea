"""The bridge: Celery's backend API over the hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, states
from kombu.exceptions import EncodeError

from django_celery_results import backends, hookimpl
from django_celery_results.backends import CacheBackend, DatabaseBackend, ResultBackend
from django_celery_results.exceptions import (
    BackendMisconfigured,
    HookError,
    ResultUnavailable,
    ResultUnreadable,
    TaskFailed,
)
from django_celery_results.models import TaskResult
from django_celery_results.records import Contents, StorageLocation, StoredTask

from .common import Recorder, pickled, row
from .conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_celery_results.records import TaskRecord
    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


class MemoryStore:
    """A third party's storage, in a dict."""

    django_celery_results_name = "memory_store"

    @hookimpl
    def open_storage(self, location: StorageLocation) -> dict[str, Any]:
        """Record the location."""
        return {"location": location}

    @hookimpl
    def store_task(self, storage: dict[str, Any], task: StoredTask) -> bool:
        """Overwrite whatever is there."""
        storage[task.task_id] = task
        return True

    @hookimpl
    def load_tasks(self, storage: dict[str, Any], task_ids: list[str]) -> list[StoredTask]:
        """Return the tasks that are stored."""
        return [storage[one] for one in task_ids if one in storage]

    @hookimpl
    def forget_task(self, storage: dict[str, Any], task_id: str) -> bool:
        """Delete the task."""
        return storage.pop(task_id, None) is not None


def amending(**values: Any) -> Any:
    """Return a plugin that sets these attributes of every task."""

    class Amending:
        django_celery_results_name = "amending"

        @hookimpl
        def before_store(self, task: TaskRecord) -> None:
            for name, value in values.items():
                setattr(task, name, value)

    return Amending()


# -- Which backend -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("django-db", DatabaseBackend),
        ("django-db://secondary", DatabaseBackend),
        ("django-cache", CacheBackend),
        ("django_celery_results.backends:DatabaseBackend", DatabaseBackend),
        ("django_celery_results.backends.DatabaseBackend", DatabaseBackend),
        ("django_celery_results.backends.database:DatabaseBackend", DatabaseBackend),
        ("django_celery_results.backends.cache:CacheBackend", CacheBackend),
    ],
)
def test_the_setting_names_the_backend(
    make_backend: MakeBackend, url: str, expected: type[ResultBackend]
) -> None:
    """Celery takes a word, a URL or a dotted path."""
    assert expected is type(make_backend(url))


@pytest.mark.parametrize("name", ["CacheBackend", "DatabaseBackend", "ResultBackend"])
def test_backends_are_imported_when_they_are_asked_for(name: str) -> None:
    assert name == getattr(backends, name).__name__


def test_unknown_names_of_the_package_raise_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoBackend"):
        backends.NoBackend  # noqa: B018  the access is what raises


def test_a_storage_of_the_settings_is_named_by_its_scheme(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The generic backend takes the scheme as the name of the storage."""
    registered(MemoryStore())
    url = "django-results+memory_store://here/there?speed=1&serializer=yaml"
    backend = make_backend(url, accept_content=["yaml"])
    backend.mark_as_done("t1", [1])
    location = backend.storage["location"]
    assert ("here", "there", {"speed": "1"}) == (location.alias, location.path, location.options)
    assert ([1], "yaml") == (backend.get_result("t1"), backend.serializer)


def test_the_bare_word_names_a_storage_too(registered: Register) -> None:
    """An entry point gives Celery the generic class for the word."""
    registered(MemoryStore())
    app = Celery("tests", set_as_current=False)
    app.conf.update(result_backend="memory_store")
    assert {"location"} == ResultBackend(app).storage.keys()


def test_an_unknown_storage_lists_those_installed(make_backend: MakeBackend) -> None:
    with pytest.raises(BackendMisconfigured, match="django-cache, django-db"):
        make_backend("django-results+none://")


def test_as_uri_hides_the_password(make_backend: MakeBackend, registered: Register) -> None:
    registered(MemoryStore())
    backend = make_backend("django-results+memory_store://user:secret@host")
    assert "secret" not in backend.as_uri()
    assert "memory_store://user:secret@host" == backend.as_uri(include_password=True)


def test_a_backend_can_be_pickled(make_backend: MakeBackend) -> None:
    """Celery pickles it along with tasks and results."""
    backend = make_backend("django-db://secondary?serializer=yaml", result_expires=77)
    copy = pickled(backend)
    assert ("django-db://secondary?serializer=yaml", 77, "yaml") == (
        copy.url,
        copy.expires,
        copy.serializer,
    )


@pytest.mark.parametrize("name", ["jsn", "raw"])
def test_a_wrong_serializer_lists_the_valid_ones(make_backend: MakeBackend, name: str) -> None:
    """This holds for Celery's setting too."""
    with pytest.raises(BackendMisconfigured, match="json, msgpack, pickle, yaml"):
        make_backend(result_serializer=name)


# -- Storing -------------------------------------------------------------------------


def test_before_store_amends_what_is_stored(
    make_backend: MakeBackend, registered: Register
) -> None:
    """A plugin may redact values, for example."""
    registered(amending(result="***", worker="w"))
    make_backend(result_extended=True).mark_as_done("t1", "secret")
    assert ('"***"', "w") == (row().result, row().worker)


def test_plugins_see_the_name_that_is_not_stored(
    make_backend: MakeBackend, registered: Register
) -> None:
    """A rule based on the task's name works whatever ``result_extended`` says."""

    class Naming:
        @hookimpl
        def before_store(self, task: TaskRecord) -> None:
            task.result = f"of {task.name}{task.args}"

    registered(Naming)
    backend = make_backend("django-db", result_extended=False)
    backend.store_result("t1", 1, states.SUCCESS, request=request_of(task="add", argsrepr="(1,)"))
    row = TaskResult.objects.get(task_id="t1")
    assert ('"of add(1,)"', None, None) == (row.result, row.task_name, row.task_args)


def test_before_store_may_not_change_the_id(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The result could not be found under its task's id."""
    registered(amending(task_id="other"))
    with pytest.raises(HookError, match="'t1' to 'other'"):
        make_backend().mark_as_done("t1", 1)


def test_after_store_sees_whether_the_state_was_written(
    make_backend: MakeBackend, registered: Register
) -> None:
    recorder = Recorder()
    registered(recorder)
    backend = make_backend()
    backend.mark_as_done("t1", 1)
    backend.store_result("t1", 2, states.STARTED)
    assert [(1, states.SUCCESS, True), (2, states.STARTED, False)] == recorder.heard


def test_encode_must_return_contents(make_backend: MakeBackend, registered: Register) -> None:
    """Storages expect nothing else."""

    class Wrong:
        django_celery_results_name = "wrong"

        @hookimpl
        def encode(self, values: Mapping[str, Any]) -> Any:
            return dict(values)

    registered(Wrong())
    with pytest.raises(HookError, match=r"'wrong' must return Contents \| None, not dict"):
        make_backend().mark_as_done("t1", 1)


def test_the_meta_of_the_request_is_stored(make_backend: MakeBackend) -> None:
    """Celery's children are added to it."""
    backend = make_backend()
    backend.mark_as_done("t1", 1, request=request_of(meta={"own": 5}))
    meta = backend.get_task_meta("t1")
    assert (5, []) == (meta["own"], meta["children"])


@pytest.mark.parametrize("own", [None, "text", 5])
def test_a_meta_that_is_not_a_mapping_does_not_lose_the_result(
    make_backend: MakeBackend, own: Any
) -> None:
    """The meta is left out."""
    backend = make_backend()
    backend.mark_as_done("t1", 1, request=request_of(meta=own))
    assert 1 == backend.get_result("t1")


def test_a_running_task_puts_its_meta_into_what_it_stores(make_backend: MakeBackend) -> None:
    """Its meta is found even if the caller passes no request."""
    backend = make_backend(task_always_eager=False)
    app = backend.app

    @app.task(bind=True, shared=False)  # type: ignore[untyped-decorator]  # Celery's stubs do not type it here
    def work(self: Any) -> None:
        self.request.meta = {"own": 5}
        app.backend.store_result("t1", None, "PROGRESS")

    work()
    assert 5 == backend.get_task_meta("t1")["own"]


def test_children_come_back_as_results(make_backend: MakeBackend) -> None:
    backend = make_backend()
    child = backend.app.AsyncResult("child")
    backend.mark_as_done("t1", 1, request=request_of(_children=[child]))
    assert [child] == backend.app.AsyncResult("t1").children


def test_an_unserializable_result_becomes_a_failure(make_backend: MakeBackend) -> None:
    """Celery itself makes it a failure, with the reason."""
    backend = make_backend(task_store_eager_result=True)

    @backend.app.task(shared=False)  # type: ignore[untyped-decorator]  # Celery's stubs do not type it here
    def work() -> object:
        return object()

    result = work.apply(task_id="t1")
    assert states.FAILURE == result.state
    assert isinstance(result.result, EncodeError)
    assert (states.FAILURE, True) == (row().status, "EncodeError" in row().result)


def test_eager_results_are_stored_when_celery_says_so(make_backend: MakeBackend) -> None:
    """The setting is ``task_store_eager_result``."""
    backend = make_backend(task_store_eager_result=True, task_always_eager=True)

    @backend.app.task(shared=False)  # type: ignore[untyped-decorator]  # Celery's stubs do not type it here
    def add(x: int, y: int) -> int:
        return x + y

    assert 3 == add.delay(1, 2).get()
    assert "3" == row(TaskResult.objects.get().task_id).result


def test_stamps_and_unstored_facts_are_offered_to_storages(
    make_backend: MakeBackend, registered: Register
) -> None:
    """Another storage may have room for them."""
    registered(MemoryStore())
    backend = make_backend("django-results+memory_store://", result_extended=True)
    request = request_of(retries=3, group="g1", stamped_headers=["a"], stamps={"a": 1})
    backend.mark_as_done("t1", 1, request=request)
    meta = backend.get_task_meta("t1")
    assert (3, "g1", 1) == (meta["retries"], meta["group_id"], meta["a"])


def test_contents_need_a_type() -> None:
    with pytest.raises(ValueError, match="content_type"):
        Contents(fields={}, content_type="", content_encoding="utf-8")


# -- Reading -------------------------------------------------------------------------


def test_a_decode_hook_must_return_a_mapping(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The error names the hook and the record."""

    class Wrong:
        @hookimpl
        def decode(self) -> str:
            return "not a mapping"

    registered(Wrong)
    backend = make_backend()
    backend.mark_as_done("t1", 1)
    with pytest.raises(
        ResultUnreadable,
        match=r"task 't1' .*'decode' of .* must return Mapping.*, not str",
    ):
        backend.get_task_meta("t1")


def test_a_wrong_setting_says_nothing_about_the_result(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The result can be read once the setting is corrected, so it must not count as lost."""

    class Wrong:
        @hookimpl
        def decode(self) -> Any:
            raise BackendMisconfigured("a key is wrong")

    make_backend().mark_as_done("t1", 1)
    registered(Wrong)
    with pytest.raises(ResultUnavailable, match=r"task 't1' cannot be read: a key is wrong"):
        make_backend().get_task_meta("t1")


def test_an_exception_object_is_raised_whatever_serializer_is_selected(
    make_backend: MakeBackend,
) -> None:
    """A site that switched to JSON still has rows that pickle wrote."""
    make_backend(result_serializer="pickle").mark_as_failure("t1", ValueError("old"))
    meta = make_backend(result_accept_content=["json", "pickle"]).get_task_meta("t1")
    assert isinstance(meta["result"], ValueError)


def test_a_failure_that_does_not_name_an_exception_calls_nothing(make_backend: MakeBackend) -> None:
    """Celery does not call just any name that a row contains."""
    TaskResult.objects.create(
        task_id="t1",
        status=states.FAILURE,
        result='{"exc_type": "system", "exc_module": "os", "exc_message": "true"}',
    )
    error = make_backend().get_task_meta("t1")["result"]
    value = {"exc_type": "system", "exc_module": "os", "exc_message": "true"}
    assert (TaskFailed, (value,)) == (type(error), error.args)


def test_many_are_loaded_in_chunks(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage never gets too many ids at once."""
    monkeypatch.setattr("django_celery_results.backends.results.IDS_AT_ONCE", 2)
    backend = make_backend()
    for one in range(5):
        backend.mark_as_done(f"t{one}", one)
    assert 5 == len(list(backend.get_many([f"t{one}" for one in range(5)], timeout=5)))


def test_2_6s_helpers_encode_and_decode(make_backend: MakeBackend) -> None:
    """Subclasses written for 2.6 call them."""
    backend = make_backend(result_serializer="pickle", result_accept_content=["pickle"])
    content_type, encoding, content = backend.encode_content({"a": 1})
    assert ("application/x-python-serialize", "binary") == (content_type, encoding)
    stored = TaskResult(content_type=content_type, content_encoding=encoding)
    assert {"a": 1} == backend.decode_content(stored, content)


@pytest.mark.parametrize("content", [None, ""])
def test_empty_content_decodes_to_none(make_backend: MakeBackend, content: str | None) -> None:
    assert None is make_backend().decode_content(TaskResult(), content)


def test_a_row_without_type_can_be_decoded(make_backend: MakeBackend) -> None:
    """Its content is taken as JSON."""
    assert [1] == make_backend().decode_content(TaskResult(), "[1]")
