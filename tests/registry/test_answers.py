"""Plugins that answer wrongly: told with plugin and hook, at load where that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest
from celery.exceptions import WorkerShutdown
from django.test import override_settings

from django_celery_results import hookimpl, hookspecs
from django_celery_results.checks import check_plugin_settings
from django_celery_results.exceptions import HookError
from django_celery_results.records import Retention, StoredTask, TaskRecord
from django_celery_results.registry.loading import hook_names, load_plugins
from tests.memory import Memory, make_app, record
from tests.registry.hook_plugins import CONTENTS, Shelf, observe, store, stored, using
from tests.registry.test_calling_errors import note, notes
from tests.signing import failure


def plugin(hook: str, function: Callable[..., Any], name: str = "odd", **options: Any) -> object:
    """A plugin with one implementation."""
    implementation = staticmethod(hookimpl(specname=hook, **options)(function))
    members = {"django_celery_results_name": name, "implementation": implementation}
    return type("Plugin", (), members)()


# -- At load -------------------------------------------------------------------------


async def coroutine() -> None:
    """Do nothing."""


async def asynchronous() -> AsyncGenerator[None]:
    """Do nothing."""
    yield


def generator() -> Iterator[None]:
    """Do nothing."""
    yield


def plain() -> None:
    """Do nothing."""


def losing() -> Generator[None, Any, None]:
    """Lose the answer."""
    yield


@pytest.mark.parametrize(
    ("hook", "function", "options", "reason"),
    [
        ("before_store", coroutine, {}, "is an async function, which hooks do not await"),
        ("after_store", coroutine, {}, "is an async function, which hooks do not await"),
        ("before_store", asynchronous, {}, "is an async function"),
        ("before_store", coroutine, {"wrapper": True}, "is an async function"),
        ("before_store", generator, {}, "is a generator function, whose body would never run"),
        ("result_retention", generator, {}, "is a generator function, whose body would never"),
        ("before_store", plain, {"wrapper": True}, "is marked wrapper=True, but has no `yield`"),
        ("before_store", generator, {"hookwrapper": True}, "is marked hookwrapper=True; mark it"),
        ("store_task", losing, {"wrapper": True}, "is a wrapper that returns nothing"),
        ("unfinished_chords", losing, {"wrapper": True}, "is a wrapper that returns nothing"),
        (
            "before_store",
            lambda tsak: [tsak],
            {},
            "takes 'tsak', which the hook does not pass",
        ),
        (
            "after_store",
            lambda taks, written: [taks, written],
            {},
            "takes 'taks', which the hook does not pass; its arguments are: task, stored, written",
        ),
        (
            "contribute_codings",
            lambda task: [task],
            {},
            "takes 'task', which the hook does not pass; ",
        ),
        ("before_store", lambda *, task: [task], {}, "takes 'task' by keyword only"),
    ],
)
def test_implementation_that_cannot_be_right_is_refused(
    hook: str, function: Callable[..., Any], options: dict[str, Any], reason: str
) -> None:
    """The reason names the hook and says what to write instead."""
    assert failure(plugin(hook, function, **options)).startswith(f"{hook} {reason}")


def test_generators_suit_hooks_that_are_iterated() -> None:
    """An argument with a default is allowed too."""

    def contribute(*args: Any, other: int = 3, **kwargs: Any) -> Iterator[Any]:
        yield from (args or kwargs or range(other - 3))

    with override_settings(
        DJANGO_CELERY_RESULTS={"PLUGINS": [plugin("check_settings", contribute)]}
    ):
        assert [] == load_plugins().failures


def test_wrapper_of_a_hook_without_an_answer_need_not_return() -> None:
    """There is no answer to lose."""
    with using(plugin("before_store", generator, wrapper=True)) as own:
        assert own.call("before_store", task=record()) is None


# -- Answers at a call ---------------------------------------------------------------

WRONG: dict[str, dict[str, Any]] = {
    "encode": {"values": {}, "serializer": "json", "codings": []},
    "decode": {"contents": CONTENTS, "accept": None, "codings": {}},
    "result_retention": {"task": None},
    "store_task": {"storage": None, "task": None, "present": None},
    "load_tasks": {"storage": None, "task_ids": [], "primary": False, "contents": None},
    "forget_task": {"storage": None, "task_id": "", "present": None},
    "save_group": {"storage": None, "group": None},
    "load_group": {"storage": None, "group_id": ""},
    "forget_group": {"storage": None, "group_id": ""},
    "start_chord": {"storage": None, "chord": None},
    "resize_chord": {"storage": None, "group_id": "", "size": 1, "added": ()},
    "chord_part_returned": {"storage": None, "part": None},
    "store_part": {"storage": None, "task": None, "part": None},
    "finish_chord": {"storage": None, "group_id": ""},
    "unfinished_chords": {"storage": None},
    "can_retry": {"storage": None, "error": None},
    "expire_results": {"storage": None, "expiry": None},
    "open_storage": {"location": None},
    "before_store": {"task": None},
    "before_expire": {"batch": None},
}


class Storage(Shelf):
    """A storage whose other hooks are called too."""


def answering(hook: str, answer: Callable[[], Any]) -> object:
    """A plugin or a storage called "odd" with one wrong answer."""
    if hook not in hookspecs.STORAGE_HOOKS:
        return plugin(hook, answer)
    own = dict.fromkeys(["put", "open_storage", "load_tasks", "forget_task"], None)
    del own["put" if hook == "store_task" else "open_storage"]
    members = {"wrong": staticmethod(hookimpl(specname=hook)(answer))}
    names = {"store_task": "put"}
    hidden = {names.get(hook, hook): None}
    return type("Odd", (Shelf,), {**hidden, **members})("odd")


@pytest.mark.parametrize("hook", WRONG)
def test_answer_of_a_wrong_kind_is_an_error(hook: str) -> None:
    """It names the plugin, the hook, the annotation and the kind of the answer."""
    # A lambda shows only in its answer that it is asynchronous.
    odd = answering(hook, lambda: (coroutine(),)[0])
    with (
        using(odd, storage="odd" if isinstance(odd, Shelf) else "django-db") as own,
        pytest.raises(HookError, match=f"'{hook}' of the plugin 'odd' must return") as caught,
    ):
        own.call(hook, **WRONG[hook])
    assert "not coroutine" in str(caught.value)
    assert note(hook, "odd") == notes(caught.value)


def test_every_hook_that_is_called_has_a_case() -> None:
    """The others are called at load, by the checks, or on each observer."""
    others = {"check_settings", *(one for one in hook_names() if one.startswith("contribute_"))}
    observers = set(hookspecs.OBSERVER_HOOKS)
    assert {*hook_names()} == {*WRONG} | others | observers


@pytest.mark.parametrize(
    ("hook", "answer", "told"),
    [
        ("result_retention", 60, r"must return Retention \| None, not int"),
        ("expire_results", "many", r"must return int \| None, not str"),
        ("store_task", "yes", r"must return bool \| None, not str"),
        ("load_tasks", [{"task_id": "a"}], r"must return Sequence.*, not list of dict"),
        ("load_tasks", "text", r"must return Sequence\[StoredTask\] \| None, not str"),
        ("load_tasks", (), None),
        ("unfinished_chords", [], None),
        ("result_retention", Retention(seconds=60), None),
    ],
)
def test_kinds_are_those_of_the_annotations(hook: str, answer: Any, told: str | None) -> None:
    """Items of a sequence are checked too."""
    odd = answering(hook, lambda: answer)
    with using(odd, storage="odd" if isinstance(odd, Shelf) else "django-db") as own:
        if told is None:
            assert answer is own.call(hook, **WRONG[hook])
        else:
            with pytest.raises(HookError, match=told):
                own.call(hook, **WRONG[hook])


@pytest.mark.parametrize("wrapper", [False, True])
def test_returned_copy_is_an_error_and_nothing_is_stored(wrapper: bool) -> None:
    """A copy that masks a secret would be ignored, and the secret stored."""

    def mask(task: TaskRecord) -> TaskRecord:
        return replace(task, result="***")

    def around(task: TaskRecord) -> Generator[None, Any, TaskRecord]:
        yield
        return replace(task, result="***")

    storage = Memory()
    odd = plugin("before_store", around if wrapper else mask, wrapper=wrapper)
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [odd, storage]}),
        pytest.raises(HookError, match=r"'odd' must return None, not TaskRecord; set"),
    ):
        make_app().backend.mark_as_done("a task", "a secret")
    assert {} == dict(storage.tasks)


def test_record_that_was_given_may_be_returned() -> None:
    """It has the changes."""
    with using(plugin("before_store", lambda task: task)) as own:
        own.call("before_store", task=record())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("status", 3, "set 'status' of task 'a task' to a value of type int; it must be str"),
        ("status", "", "to an empty text; it must be str, not empty"),
        ("status", None, "to a value of type NoneType"),
        ("task_id", "other", "changed the id of task 'a task' to 'other'"),
        ("traceback", ["line"], "it must be str or None"),
        ("meta", "text", "it must be Mapping or None"),
        ("retries", "3", "it must be int or None"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "before the yield", "after the yield"])
def test_wrong_change_of_a_record_is_an_error(name: str, value: Any, told: str, kind: str) -> None:
    """The plugin that made it is named, though others are called before and after it."""

    def change(task: TaskRecord) -> None:
        setattr(task, name, value)

    def around(task: TaskRecord) -> Generator[None, Any, Any]:
        if kind == "before the yield":
            setattr(task, name, value)
        answer = yield
        setattr(task, name, value)
        return answer

    is_wrapper = kind != "plain"
    odd = plugin("before_store", around if is_wrapper else change, wrapper=is_wrapper)
    others = [plugin("before_store", plain, one) for one in ("first", "last")]
    with using(others[0], odd, others[1]) as own, pytest.raises(HookError, match=told) as caught:
        own.call("before_store", task=record())
    assert note("before_store", "odd") == notes(caught.value)


def test_right_change_of_a_record_is_kept() -> None:
    """Any value may be a result."""
    task = record()
    with using(plugin("before_store", lambda task: setattr(task, "result", object))) as own:
        own.call("before_store", task=task)
    assert task.result is object


# -- Wrappers ------------------------------------------------------------------------


def twice() -> Generator[None, Any, Any]:
    """Yield twice."""
    answer = yield
    yield
    return answer


def sometimes(never: bool = False) -> Generator[None, Any, Any]:
    """Lose the answer on one of two ways."""
    answer = yield
    if never:
        return answer
    return None


def hasty(storage: Any) -> Generator[None, Any, Any]:
    """Return before the ``yield``."""
    if storage is None:
        return True
    return (yield)


def other() -> Generator[None, Any, Any]:
    """Return another kind of answer."""
    yield
    return {}


@pytest.mark.parametrize(
    ("wrapper", "told"),
    [
        (twice, "is a wrapper that yields twice; it has to yield once"),
        (sometimes, r"is a wrapper that lost the answer of the others; end it with `return \(yie"),
        (hasty, "is a wrapper that did not yield; it has to yield once"),
        (other, r"must return bool \| None, not dict"),
    ],
)
def test_wrapper_that_answers_wrongly_is_named(wrapper: Callable[..., Any], told: str) -> None:
    """Not the storage, whose answer it had, nor another wrapper."""
    wrappers = [
        plugin("store_task", good, "good", wrapper=True),
        plugin("store_task", wrapper, "odd", wrapper=True),
    ]
    with (
        using(*wrappers, Shelf("one"), storage="one") as own,
        pytest.raises(HookError, match=f"'store_task' of the plugin 'odd' {told}") as caught,
    ):
        store(own)
    assert note("store_task", "odd") == notes(caught.value)


def good() -> Generator[None, Any, Any]:
    """Return the answer."""
    return (yield)


def test_wrapper_may_answer_in_place_of_an_error() -> None:
    """It gets the error at its ``yield``."""

    def saving() -> Generator[None, Any, bool]:
        try:
            answer: bool = yield
        except OSError:
            return False
        return answer

    class Full(Shelf):
        @hookimpl(specname="store_task")
        def put(self, task: StoredTask) -> bool:  # noqa: ARG002 - as the base class
            """Raise an error."""
            raise OSError

    with using(plugin("store_task", saving, wrapper=True), Full("one"), storage="one") as own:
        answer = own.call("store_task", storage=None, task=stored(), present=None)
    assert answer is False


def test_wrapper_may_take_away_an_answer_where_none_is_one() -> None:
    """A wrapper may leave the retention to the settings."""

    def undecided(decided: bool = False) -> Generator[None, Any, Any]:
        answer = yield
        return answer if decided else None

    plugins = [
        plugin("result_retention", undecided, wrapper=True),
        plugin("result_retention", lambda: Retention(seconds=1), "other"),
    ]
    with using(*plugins) as own:
        assert own.call("result_retention", task=record()) is None


def test_implementations_keep_their_order() -> None:
    """A plugin may implement one hook several times, first, last and between."""
    seen: list[str] = []

    def noting(name: str) -> Any:
        return staticmethod(lambda: seen.append(name))

    def members(**options: Any) -> dict[str, Any]:
        names = [f"{'_'.join(options)}{number}" for number in (1, 2)]
        mark = hookimpl(specname="before_store", **options)
        return {name: staticmethod(mark(noting(name).__func__)) for name in names}

    both = {**members(), **members(tryfirst=True), **members(trylast=True)}
    several = type("Several", (), {f"m{name}": one for name, one in both.items()})()
    with using(several) as own:
        own.call("before_store", task=record())
        expected, seen[:] = list(seen), []
        load_plugins().manager.hook.before_store(task=record())
    assert expected == seen


# -- Errors that would end the process -----------------------------------------------


def leaving(error: BaseException) -> Callable[[], None]:
    """A function that raises ``error``."""

    def leave() -> None:
        raise error

    return leave


ENDS = [SystemExit(3), GeneratorExit(), type("Stop", (BaseException,), {})()]


@pytest.mark.parametrize("error", ENDS)
def test_observer_that_would_end_the_process_is_logged(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The result is stored, and the next observer is called."""
    seen: list[str] = []
    plugins = [
        plugin("after_store", leaving(error)),
        plugin("after_store", lambda task: seen.append(task.task_id), "next"),
    ]
    with using(*plugins) as own:
        observe(own)
    assert (["a task"], 1) == (seen, len(caplog.records))
    assert f"'odd' raised {type(error).__name__}" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), asyncio.CancelledError(), WorkerShutdown()])
def test_error_that_was_sent_to_end_the_call_ends_it(error: BaseException) -> None:
    """A person, the worker or the event loop sent it, whichever plugin was running."""
    with using(plugin("after_store", leaving(error))) as own, pytest.raises(type(error)):
        observe(own)


@pytest.mark.parametrize("error", ENDS)
def test_hook_that_would_end_the_process_raises_an_error(error: BaseException) -> None:
    """Celery then treats it as a failure to store."""
    with using(plugin("before_store", leaving(error))) as own, pytest.raises(HookError) as caught:
        own.call("before_store", task=record())
    assert (error, note("before_store", "odd")) == (caught.value.__cause__, notes(caught.value))


@pytest.mark.parametrize("place", ["before", "after"])
def test_wrapper_that_would_end_the_process_raises_an_error(place: str) -> None:
    """Whether before or after its ``yield``."""

    def around() -> Generator[None, Any, Any]:
        if place == "before":
            raise SystemExit(3)
        yield
        raise SystemExit(3)

    with (
        using(plugin("before_store", around, wrapper=True)) as own,
        pytest.raises(HookError, match="'odd' raised SystemExit: 3"),
    ):
        own.call("before_store", task=record())


def test_wrapper_that_lets_an_interruption_through() -> None:
    """The wrapper is not blamed for what it was given."""
    plugins = [
        plugin("before_store", generator, "around", wrapper=True),
        plugin("before_store", leaving(KeyboardInterrupt())),
    ]
    with using(*plugins) as own, pytest.raises(KeyboardInterrupt):
        own.call("before_store", task=record())


def test_check_that_would_end_the_command_is_reported() -> None:
    """Also if it does so while its messages are read."""

    def check() -> Iterator[Any]:
        yield from ()
        raise SystemExit(3)

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [plugin("check_settings", check)]}):
        (message,) = check_plugin_settings()
    assert "'check_settings' of the plugin 'odd' raised SystemExit: 3" in message.msg


def test_chords_need_not_be_read_to_the_end() -> None:
    """A generator that is closed early is closed, and raises nothing."""
    closed: list[bool] = []

    def chords() -> Iterator[Any]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    odd = answering("unfinished_chords", lambda: None)
    type(odd).wrong = staticmethod(hookimpl(specname="unfinished_chords")(chords))  # type: ignore[attr-defined]  # made by answering
    with using(odd, storage="odd") as own:
        found = own.call("unfinished_chords", storage=None)
        assert 1 == next(found)
        found.close()
    assert [True] == closed


def test_generator_that_raises_raises_its_own_error() -> None:
    """Errors that do not end the process stay what they are."""

    def chords() -> Iterator[Any]:
        yield from ()
        raise LookupError("gone")

    odd = answering("unfinished_chords", lambda: None)
    type(odd).wrong = staticmethod(hookimpl(specname="unfinished_chords")(chords))  # type: ignore[attr-defined]  # made by answering
    with using(odd, storage="odd") as own, pytest.raises(LookupError, match="gone"):
        list(own.call("unfinished_chords", storage=None))


# -- The price -----------------------------------------------------------------------


def test_built_in_plugins_are_called_directly() -> None:
    """A site without other plugins pays nothing for the checks."""
    loaded = load_plugins()
    assert loaded.manager.list_name_plugin() == loaded.checked.list_name_plugin()


def test_plugins_stay_themselves_in_the_manager() -> None:
    """Only the core's calls go through the stand-ins."""
    own = plugin("before_store", plain)
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [own]}):
        loaded = load_plugins()
        assert own is loaded.manager.get_plugin("odd")
        assert own is not loaded.checked.get_plugin("odd")


def test_decorated_implementation_is_called_as_decorated() -> None:
    """The arguments that pluggy passes are those of the inner function."""

    def inner(task: TaskRecord) -> None:
        task.worker = "inner"

    @wraps(inner)
    def outer(*args: Any) -> None:
        inner(*args)
        args[0].worker += " outer"

    task = record()
    with using(plugin("before_store", outer)) as own:
        own.call("before_store", task=task)
    assert "inner outer" == task.worker
