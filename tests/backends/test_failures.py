"""Failures whose stored value Celery cannot turn into an exception, on each kind of storage."""

from __future__ import annotations

import json
import pickle
import sys
from base64 import b64encode
from datetime import datetime, timezone
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery._state import get_current_app
from django.core.cache import caches
from django.test import Client

from django_celery_results.exceptions import ResultUnreadable, TaskFailed
from django_celery_results.models import TaskResult

from .common import Chord, Recorder, make_row
from .conftest import PICKLE, request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.result import AsyncResult

    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


VALUES = [
    {"reason": "no stock"},
    {"exc_message": ["no type"], "exc_module": "builtins"},
    {"exc_type": "system", "exc_module": "os", "exc_message": "true"},
    {"exc_type": 5, "exc_message": [1]},
    {"exc_type": "A\0", "exc_message": [1]},
    {"exc_type": "ValueError", "exc_module": ["builtins"]},
    "text",
    ["a", "list"],
    3,
    None,
    {},
    [],
    "",
    0,
    False,
]
ERRING = f"{__name__}_erring"


@pytest.fixture
def backend(make_stored: Callable[..., Any]) -> Iterator[Any]:
    """A backend that stores in one of the ways, of the current app."""
    before: Any = get_current_app()
    backend = make_stored(task_always_eager=True, task_store_eager_result=True)
    backend.app.set_current()
    yield backend
    before.set_current()


@pytest.fixture
def erring() -> Iterator[Any]:
    """A module of exception classes that can be taken away."""
    module = ModuleType(ERRING)
    sys.modules[ERRING] = module
    exec(MODULE, module.__dict__)
    yield module
    sys.modules.pop(ERRING, None)


MODULE = '''
gone = False

class PlainError(Exception):
    """An exception as most are."""

class PairError(Exception):
    """Its class takes other arguments than those that Exception keeps."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")
        self.one = one

class LaterError(Exception):
    """An exception that the reader cannot rebuild, although the worker could."""

    def __init__(self, *args):
        if gone:
            raise SystemExit(3)
        super().__init__(*args)

def rebuild(*args):
    if gone:
        raise RuntimeError("not here")
    return ByFunctionError(*args)

class ByFunctionError(Exception):
    """An exception that a function rebuilds."""

    def __reduce__(self):
        return rebuild, self.args

class StateError(Exception):
    """An exception with a state of its own form."""

    def __reduce__(self):
        return StateError, self.args, ["state"]

    def __setstate__(self, state):
        if gone:
            raise RuntimeError("not here")
'''


def result(backend: Any, task_id: str = "t1") -> AsyncResult[Any]:
    """Return a fresh result object."""
    found: AsyncResult[Any] = backend.app.AsyncResult(task_id)
    return found


def fail(backend: Any, value: Any, state: str = states.FAILURE, task_id: str = "t1") -> None:
    """Store a final state like ``update_state`` in a task."""
    backend.store_result(task_id, value, state, request=request_of(task_id))


@pytest.mark.parametrize("state", [states.FAILURE, states.REVOKED])
def test_a_failure_that_is_no_exception_carries_its_value(backend: Any, state: str) -> None:
    """The state is as it was stored, and the value is in the exception's arguments."""
    for number, value in enumerate(VALUES):
        fail(backend, value, state, f"t{number}")
        found = result(backend, f"t{number}")
        error: Any = found.result
        assert (state, True, state == states.FAILURE) == (
            found.state,
            found.ready(),
            found.failed(),
        )
        assert (TaskFailed, (value,)) == (type(error), error.args)
        assert error.args == pickle.loads(pickle.dumps(error)).args
        with pytest.raises(TaskFailed):
            found.get(timeout=1)
        with pytest.raises(TaskFailed):
            found.maybe_throw()


def test_a_retry_that_is_no_exception_carries_its_value(backend: Any) -> None:
    """Celery takes the value of this state for an exception too, but does not raise it."""
    fail(backend, {"attempt": 2}, states.RETRY)
    found = result(backend)
    assert ({"attempt": 2},) == found.result.args
    assert not found.ready()
    fail(backend, None, states.RETRY, "t2")
    assert None is result(backend, "t2").result


def test_a_dict_that_names_an_exception_is_that_exception(backend: Any) -> None:
    """Sites build what Celery stores, with entries of their own."""
    value = {"exc_type": "KeyError", "exc_module": "builtins", "exc_message": ["a"], "own": 1}
    fail(backend, value)
    assert (KeyError, ("a",)) == (type(result(backend).result), result(backend).result.args)
    fail(backend, {"exc_type": "OwnError", "exc_message": "text"}, task_id="t2")
    error = result(backend, "t2").result
    assert ("OwnError", ("text",)) == (type(error).__name__, error.args)


NAMED = [
    ("SystemExit", "builtins"),
    ("KeyboardInterrupt", "builtins"),
    ("GeneratorExit", "builtins"),
    ("CancelledError", "asyncio.exceptions"),
    ("WorkerShutdown", "celery.exceptions"),
]


def test_a_failure_does_not_end_the_process_that_reads_it(backend: Any) -> None:
    """It has the name and the arguments of the exception, but can be caught like any other."""
    import asyncio  # noqa: F401 - Celery finds exception classes only in modules that are loaded

    for name, module in NAMED:
        fail(backend, {"exc_type": name, "exc_module": module, "exc_message": [3]}, task_id=name)
        error = result(backend, name).result
        copy = pickle.loads(pickle.dumps(error))
        for one in (error, copy):
            assert isinstance(one, TaskFailed)
            assert (name, module, (3,)) == (type(one).__name__, type(one).__module__, one.args)
        with pytest.raises(TaskFailed):
            result(backend, name).get(timeout=1)


def test_a_stored_system_exit_does_not_end_the_process_that_reads_it(backend: Any) -> None:
    """A serializer that keeps exceptions gives back the object itself."""
    fail(backend, SystemExit(3))
    error = result(backend).result
    assert isinstance(error, TaskFailed)
    assert "SystemExit(3)" == repr(error)


def test_many_results_are_read_together(backend: Any) -> None:
    """Neither a group nor a read of many ids stops at such a failure."""
    backend.mark_as_done("a", 1)
    fail(backend, {"reason": 1}, task_id="b")
    group = backend.app.GroupResult("g1", [result(backend, one) for one in "ab"])
    group.save()
    expected = [1, ({"reason": 1},)]
    for join in (group.join, group.join_native):
        found: Any = join(timeout=1, propagate=False)
        assert expected == [found[0], found[1].args]
        with pytest.raises(TaskFailed):
            join(timeout=1)
    assert (True, True) == (group.ready(), group.failed())
    metas = dict(backend.get_many(["a", "b"], timeout=1))
    assert expected == [metas["a"]["result"], metas["b"]["result"].args]
    assert ({"reason": 1},) == backend.results.metas(["b"])["b"]["result"].args


def test_the_endpoints_answer(backend: Any) -> None:
    """All four do, with the value in the text of the exception."""
    fail(backend, {"reason": 1})
    backend.app.GroupResult("g1", [result(backend)]).save()
    client, kind = Client(), "django_celery_results.exceptions.TaskFailed"
    task: dict[str, Any] = {"id": "t1", "status": "FAILURE", "exc": kind, "traceback": None}
    text = "TaskFailed({'reason': 1})"
    assert {"task": {**task, "result": text}} == client.get("/task/status/t1/").json()
    assert {"task": {"id": "t1", "executed": False}} == client.get("/task/done/t1/").json()
    members: list[dict[str, Any]] = [{"status": "FAILURE", "result": text}]
    assert {"group": {"id": "g1", "results": members}} == client.get("/group/status/g1/").json()
    members = [{"id": "t1", "executed": False}]
    assert {"group": {"id": "g1", "results": members}} == client.get("/group/done/g1/").json()


@pytest.mark.parametrize("facts", [{}, {"ignore_result": True}])
def test_a_chord_fails_with_the_name_of_the_task(backend: Any, facts: dict[str, Any]) -> None:
    """Its part is counted, and the error has the value."""
    chord = Chord(backend)
    chord.start("a", "b")
    chord.done("a", 1)
    if not facts:
        fail(backend, {"reason": 1}, task_id="b")
    request = chord.request("b", **facts)
    backend.on_chord_part_return(request, states.FAILURE, {"reason": 1})
    expected = "Dependency b raised TaskFailed({'reason': 1})"
    assert expected == str(result(backend, "body-id").result)


def test_an_exception_without_a_repr_fails_its_chord(backend: Any, erring: Any) -> None:
    """The chord ends, and names the task."""
    chord = Chord(backend)
    chord.start("a")
    erring.PlainError.__repr__ = lambda _: 1 / 0
    chord.failed("a", erring.PlainError())
    assert str(result(backend, "body-id").result).startswith("Dependency a raised ")


NAMES = ["PlainError", "PairError", "LaterError", "ByFunctionError", "StateError"]


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_that_a_worker_could_pickle_is_read(
    make_stored: Callable[..., Any], erring: Any, name: str
) -> None:
    """Where the class is as in the worker, the exception is what it is with Celery's backends."""
    kind = getattr(erring, name)
    error = kind("x", "y")
    make_stored().mark_as_failure("t1", error)
    read = result(make_stored()).result
    # Celery stores what it cannot pickle under the same name, without the class.
    assert name == type(read).__name__ or name in str(read)
    assert name == "PairError" or isinstance(read, kind)


@pytest.mark.parametrize("loses_module", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_an_exception_that_cannot_be_rebuilt_is_made_up(
    make_stored: Callable[..., Any], erring: Any, name: str, loses_module: bool
) -> None:
    """The reader lacks the module, or its classes cannot be rebuilt there."""
    error = getattr(erring, name)("x", "y")
    make_stored().mark_as_failure("t1", error)
    erring.gone = True
    if loses_module:
        del sys.modules[ERRING]
    found = result(make_stored())
    read = found.result
    assert ("FAILURE", True) == (found.state, isinstance(read, Exception))
    assert name in repr(read) or "rebuild" in repr(read)
    assert "x" in repr(read)
    with pytest.raises(type(read)):
        found.get(timeout=1)


def test_an_exception_keeps_its_state_when_its_module_is_gone(
    make_backend: MakeBackend, erring: Any
) -> None:
    """Its attributes and its arguments stay, whatever they are."""
    error = erring.PlainError(KeyError("a"), erring.PlainError)
    error.code = 7
    make_backend("django-db", **PICKLE).mark_as_failure("t1", error)
    del sys.modules[ERRING]
    read: Any = result(make_backend("django-db", **PICKLE)).result
    assert (KeyError, "PlainError", 7) == (type(read.args[0]), read.args[1].__name__, read.code)
    copy = pickle.loads(pickle.dumps(read.with_traceback(None).__class__("x")))
    assert ("PlainError", ("x",)) == (type(copy).__name__, copy.args)


def make_pickled_row(content: bytes, status: str) -> None:
    """Make a row of pickles like those of 2.6."""
    make_row(
        status=status,
        content_type="application/x-python-serialize",
        content_encoding="binary",
        result=b64encode(content).decode(),
    )


def test_a_value_is_not_made_up(make_backend: MakeBackend, erring: Any) -> None:
    """A task's return value whose class is gone would be another value."""
    make_pickled_row(pickle.dumps([erring.PlainError]), states.SUCCESS)
    del sys.modules[ERRING]
    with pytest.raises(ResultUnreadable, match=r"'t1'.*No module named"):
        make_backend("django-db", **PICKLE).get_task_meta("t1")


@pytest.mark.parametrize("content", [b"", b"not a pickle"])
def test_a_corrupt_pickle_is_unreadable(make_backend: MakeBackend, content: bytes) -> None:
    """Nothing is made up from it."""
    make_pickled_row(content, states.FAILURE)
    with pytest.raises(ResultUnreadable, match="'t1'"):
        make_backend("django-db", **PICKLE).get_task_meta("t1")


def test_other_contents_of_a_pickled_row_are_still_unreadable(make_backend: MakeBackend) -> None:
    """Only the exception itself can be made up."""
    make_row(status=states.FAILURE, result="{", content_type="application/json")
    with pytest.raises(ResultUnreadable, match="'t1'"):
        make_backend().get_task_meta("t1")


@pytest.mark.parametrize(
    "meta", ['"text"', "[1]", "null", "3", '{"children": [5]}', '{"children": 5}']
)
def test_a_meta_that_is_not_understood_does_not_hide_the_result(
    make_backend: MakeBackend, meta: str
) -> None:
    """It is left out."""
    TaskResult.objects.create(
        task_id="t1",
        status=states.SUCCESS,
        content_type="application/json",
        content_encoding="utf-8",
        result="[1]",
        meta=meta,
    )
    found = result(make_backend())
    assert ([1], states.SUCCESS) == (found.get(timeout=1), found.state)
    assert not found.children


def test_children_in_older_forms_are_read(make_backend: MakeBackend) -> None:
    """As in groups, a child may be just an id."""
    meta = '{"children": ["a", ["b", null], [["c", null], null]]}'
    make_row(result="1", meta=meta)
    found: Any = result(make_backend())
    assert ["a", "b", "c"] == [one.id for one in found.children]


def test_children_may_be_objects(make_backend: MakeBackend) -> None:
    """A cache of Python objects can hold any."""
    caches["default"].clear()
    backend = make_backend("django-cache")
    meta = {"status": "SUCCESS", "result": 1, "children": [backend.app.AsyncResult("a")]}
    caches["default"].set("celery-task-meta-t1", meta)
    found: Any = result(backend)
    assert ["a"] == [one.id for one in found.children]


def test_an_exception_that_counts_as_false_is_read(backend: Any, erring: Any) -> None:
    """Its class has a length, and is empty."""
    erring.PlainError.__len__ = lambda _: 0
    backend.mark_as_failure("t1", erring.PlainError("x"))
    assert isinstance(result(backend).result, erring.PlainError)


def test_a_cached_value_like_those_of_2_6_is_read(make_backend: MakeBackend) -> None:
    """It has Python objects in it, and none of the forms that this release writes."""
    caches["default"].clear()
    meta: dict[str, Any] = {
        "status": "FAILURE",
        "result": {"reason": 1},
        "traceback": None,
        "children": [],
    }
    caches["default"].set("celery-task-meta-t1", meta)
    assert ({"reason": 1},) == result(make_backend("django-cache")).result.args


@pytest.mark.parametrize("url", ["django-db", "django-cache://default?serializer=json"])
def test_the_value_of_a_failure_is_stored_as_it_is(make_backend: MakeBackend, url: str) -> None:
    """Only readers see an exception."""
    caches["default"].clear()
    backend = make_backend(url)
    fail(backend, {"reason": 1})
    (stored,) = backend.results.load(["t1"])
    assert {"reason": 1} == backend.results.record(stored).result
    assert {"reason": 1} == json.loads(stored.contents.fields["result"])


def test_plugins_read_such_failures_when_they_expire(
    make_backend: MakeBackend, registered: Register, erring: Any
) -> None:
    """A plugin gets the value, or the exception that stands for a missing one."""
    recorder = Recorder()
    registered(recorder)
    backend = make_backend("django-db", **PICKLE, result_expires=1)
    fail(backend, {"reason": 1})
    backend.mark_as_failure("t2", erring.PlainError("x"))
    del sys.modules[ERRING]
    TaskResult.objects.update(date_done=datetime(2020, 1, 1, tzinfo=timezone.utc))
    backend.cleanup()
    ((ids, results),) = [one[2:] for one in recorder.heard if one[0] == "before"]
    read = dict(zip(ids, results, strict=True))
    assert ({"reason": 1}, "PlainError('x')") == (read["t1"], repr(read["t2"]))
