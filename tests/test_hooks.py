"""Calling the hooks: one storage among several, observers apart, errors with a name."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import override_settings

from django_celery_results import hookimpl, hooks
from django_celery_results.exceptions import (
    BackendMisconfigured,
    HookError,
    PluginError,
    ResultUnreadable,
)
from django_celery_results.hooks import Hooks
from django_celery_results.plugins import get_plugin_manager, load_plugins
from django_celery_results.records import Contents, StoredTask, TaskRecord
from tests.recording import Recording, make_app, record

CONTENTS = Contents(fields={}, content_type="application/json", content_encoding="utf-8")


class Shelf:
    """A storage that says who it is."""

    def __init__(self, name: str) -> None:
        self.django_celery_results_name = name

    @hookimpl
    def open_storage(self) -> str:
        """Answer with the name."""
        return self.django_celery_results_name

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Sign the task; the function has a name of its own."""
        task.worker = f"{task.worker or ''} {self.django_celery_results_name}".strip()
        return True

    @hookimpl
    def load_tasks(self) -> list[StoredTask]:
        """Have none."""
        return []

    @hookimpl
    def forget_task(self) -> None:
        """Give no answer, which it should."""


class Broken(Shelf):
    """A storage that cannot store."""

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Fail."""
        raise OSError(f"no space left for {task.task_id}")


class Wrapping:
    """A plugin around whichever storage is used."""

    django_celery_results_name = "wrapping"

    @hookimpl(wrapper=True)
    def store_task(self, task: StoredTask) -> Generator[None, bool, bool]:
        """Sign the task."""
        task.worker = "wrapped"
        return (yield)


class BreakingWrapper:
    """A wrapper that fails once the storage is done."""

    django_celery_results_name = "breaking"

    @hookimpl(wrapper=True)
    def store_task(self) -> Generator[None, bool, bool]:
        """Fail."""
        yield
        raise LookupError("afterwards")


class Codec:
    """Encodes and decodes badly."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error

    @hookimpl
    def encode(self) -> Contents | None:
        """Fail, if it is to."""
        if self.error is not None:
            raise self.error
        return None

    @hookimpl
    def decode(self) -> Mapping[str, Any] | None:
        """Fail, if it is to."""
        if self.error is not None:
            raise self.error
        return None


class Observer:
    """Looks on, and fails if it is to."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error
        self.seen: list[str] = []

    @hookimpl
    def after_store(self, task: TaskRecord) -> None:
        """Note the task."""
        self.seen.append(task.task_id)
        if self.error is not None:
            raise self.error


class Twofold(Observer):
    """Looks on in two functions."""

    @hookimpl(specname="after_store")
    def also(self, task: TaskRecord) -> None:
        """Note the task, otherwise."""
        self.seen.append(f"also {task.task_id}")


@contextmanager
def using(*plugins: object, storage: str = "django-db") -> Iterator[Hooks]:
    """The hooks as a backend on ``storage`` calls them, with ``plugins`` in the settings."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": list(plugins)}):
        yield Hooks(storage)


def stored() -> StoredTask:
    """A task for a storage."""
    return StoredTask(task_id="a task", status="SUCCESS", contents=CONTENTS)


def store(own: Hooks) -> StoredTask:
    """Store a task and return it as it now is."""
    task = stored()
    own.call("store_task", storage=None, task=task)
    return task


def encode(own: Hooks) -> Any:
    """Encode one value."""
    return own.ask("encode", values={"result": None}, serializer="json", codings=[])


def observe(own: Hooks) -> None:
    """Tell the observers of a task."""
    own.observe("after_store", task=record(), stored=stored(), written=True)


def notes(error: BaseException) -> list[str]:
    """What was noted on an error."""
    return list(getattr(error, "__notes__", []))


def note(hook: str, plugin: str) -> list[str]:
    """What is noted on an error that came out of the plugin's hook."""
    return [f"in the hook {hook!r} of the django-celery-results plugin {plugin!r}"]


# -- One storage ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "two"])
def test_only_the_selected_storage_is_called(name: str) -> None:
    """By its name, not by its place in the list, and whatever its functions are called."""
    with using(Shelf("one"), Shelf("two"), storage=name) as own:
        assert (name, name) == (own.ask("open_storage", location=None), store(own).worker)


def test_wrappers_go_around_any_storage() -> None:
    """They are no storage."""
    with using(Shelf("one"), Wrapping, storage="one") as own:
        assert "wrapped one" == store(own).worker


def test_other_hooks_of_another_storage_are_called() -> None:
    """A storage that is not selected may look on all the same."""
    recording = Recording()
    with using(recording) as own:
        own.call("before_store", task=record())
    assert {"task"} == recording.calls["before_store"]


def test_storage_that_is_not_there() -> None:
    """The error lists those that are."""
    with (
        pytest.raises(BackendMisconfigured, match=r"installed: django-cache, django-db, one$"),
        using(Shelf("one"), storage="two"),
    ):
        pass


def test_storage_that_is_disabled() -> None:
    """The error says by which setting."""
    options = {"PLUGINS": [Shelf("one")], "DISABLED_PLUGINS": ["one"]}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(PluginError, match=r"'one' .* is disabled: named in .*DISABLED_PLUGINS"),
    ):
        Hooks("one")


def test_selected_storage_that_failed_is_an_error_even_where_plugins_are_lenient() -> None:
    """Nothing else could keep the results."""
    shelf = Shelf("one")
    shelf.django_celery_results_api = 99  # type: ignore[attr-defined]  # what a plugin may say
    options = {"PLUGINS": [shelf], "STRICT_PLUGINS": False}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(PluginError, match=r"'one' .* is failed: it was written for version 99"),
    ):
        Hooks("one")


def test_storage_that_may_be_the_one_that_failed() -> None:
    """A plugin that cannot be imported could not say its name; so its failure is told."""
    options = {"PLUGINS": ["nowhere"], "STRICT_PLUGINS": False}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(BackendMisconfigured, match=r"failed to load: .*No module named 'nowhere'"),
    ):
        Hooks("one")


def test_failures_are_an_error_where_plugins_are_strict() -> None:
    """Even of a plugin that the storage does not need."""
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": ["nowhere"]}),
        pytest.raises(PluginError),
    ):
        Hooks("django-db")


# -- Answers -------------------------------------------------------------------------


def test_hook_that_has_to_be_answered() -> None:
    """No answer is an error that names the hook and the storage."""
    message = "No plugin answered the hook 'forget_task' for storage 'one'"
    with using(Shelf("one"), storage="one") as own, pytest.raises(HookError, match=message):
        own.ask("forget_task", storage=None, task_id="a task")


def test_none_survives() -> None:
    """A result that is None is wrapped, and so is not taken for no answer."""
    with using() as own:
        contents = encode(own)
        values = own.ask("decode", contents=contents, accept=None, codings={})
    assert {"result": None} == values


def test_hook_that_nobody_implements() -> None:
    """Collects nothing."""
    with using() as own:
        assert [] == own.call("before_store", task=record())


@pytest.mark.parametrize(("plugins", "expected"), [((), False), ((Observer("one"),), True)])
def test_listening(plugins: tuple[object, ...], expected: bool) -> None:
    """Whether there is anybody to tell."""
    with using(*plugins) as own:
        assert expected is own.listens("before_expire", "after_store")


# -- Observers -----------------------------------------------------------------------


def test_observers_are_called_in_order() -> None:
    """As listed."""
    seen: list[str] = []
    observers = Observer("one"), Observer("two")
    for observer in observers:
        observer.seen = seen
    with using(*observers) as own:
        assert ["one", "two"] == [name for name, _ in own._observers["after_store"]]
        observe(own)
    assert ["a task", "a task"] == seen


def test_observer_that_fails_harms_no_other() -> None:
    """Neither those before nor those after it."""
    observers = [Observer("one"), Observer("two", ValueError("tired")), Observer("three")]
    with using(*observers) as own:
        observe(own)
    assert [["a task"]] * 3 == [observer.seen for observer in observers]


def test_observer_that_fails_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """And with its error."""
    with using(Observer("tired", ValueError("no more"))) as own:
        observe(own)
    message = "Plugin 'tired' failed in the hook 'after_store'; the result is not affected"
    assert [(hooks.logger.name, logging.ERROR, message)] == caplog.record_tuples
    assert caplog.records[0].exc_info is not None


def test_observer_in_two_functions_is_called_once_in_each() -> None:
    """Not each function once for each."""
    observer = Twofold("twofold")
    with using(observer) as own:
        observe(own)
    assert ["a task", "also a task"] == sorted(observer.seen)


def test_result_is_stored_although_an_observer_fails() -> None:
    """As Celery sees it."""
    recording = Recording()
    options = {"PLUGINS": [recording, Observer("tired", ValueError("no more"))]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        make_app().backend.mark_as_done("a task", 1)
    assert ["a task"] == list(recording.tasks)


# -- Errors --------------------------------------------------------------------------


def test_error_of_a_storage_has_its_name() -> None:
    """As a note, under the error itself."""
    with using(Broken("one"), storage="one") as own, pytest.raises(OSError, match="no") as caught:
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_storage_is_not_its_wrappers() -> None:
    """The innermost implementation is the one that failed."""
    with (
        using(Broken("one"), Wrapping, storage="one") as own,
        pytest.raises(OSError, match="no") as caught,
    ):
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_wrapper_has_its_name() -> None:
    """The storage did well."""
    with (
        using(Shelf("one"), BreakingWrapper, storage="one") as own,
        pytest.raises(LookupError) as caught,
    ):
        store(own)
    assert note("store_task", "breaking") == notes(caught.value)


def test_error_of_one_of_two_instances_of_a_class() -> None:
    """They share their code, and not the blame."""
    codecs = [Codec("first"), Codec("second", ValueError("odd")), Codec("third")]
    with using(*codecs) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert note("encode", "second") == notes(caught.value)


def test_error_that_is_raised_again_is_noted_once() -> None:
    """A storage may keep its error, and be asked anew."""
    with using(Codec("one", ValueError("odd"))) as own:
        for _ in range(2):
            with pytest.raises(ValueError, match="odd") as caught:
                encode(own)
    assert note("encode", "one") == notes(caught.value)


def test_error_of_decoding_has_the_plugins_name() -> None:
    """Like one of encoding."""
    with using(Codec("one", ValueError("odd"))) as own, pytest.raises(ValueError) as caught:  # noqa: PT011  the note is looked at
        own.ask("decode", contents=CONTENTS, accept=None, codings={})
    assert note("decode", "one") == notes(caught.value)


def test_result_that_cannot_be_read_has_the_plugins_name() -> None:
    """The error that a caller of ``AsyncResult.get`` sees carries the note."""
    recording = Recording()
    options = {"PLUGINS": [recording, Codec("one", ValueError("odd"))]}
    recording.tasks["a task"] = stored()
    with override_settings(DJANGO_CELERY_RESULTS=options):
        result = make_app().AsyncResult("a task")
        with pytest.raises(ResultUnreadable, match="'a task' cannot be read: odd") as caught:
            result.get(timeout=5)
    assert note("decode", "one") == notes(caught.value)


class Wrapper(Observer):
    """Looks on as a wrapper."""

    @hookimpl(specname="after_store", wrapper=True)
    def around(self) -> Generator[None, list[None], list[None]]:
        """Note what it goes around."""
        answers = yield
        self.seen.append(f"{len(answers)} inside")
        return answers


def test_observer_that_is_a_wrapper_goes_around_its_own_plugin() -> None:
    """It is called by itself like all of them."""
    wrapper = Wrapper("two")
    with using(Observer("one"), wrapper, Observer("three")) as own:
        observe(own)
    assert ["a task", "0 inside"] == wrapper.seen


def test_error_of_a_wrong_call_is_nobodys() -> None:
    """No plugin was called, so none is blamed."""
    with using() as own, pytest.raises(Exception, match="values") as caught:
        own.call("encode")
    assert [] == notes(caught.value)


def test_error_keeps_the_notes_that_it_had() -> None:
    """They come first."""
    error = ValueError("odd")
    error.__notes__ = ["seen before"]  # type: ignore[attr-defined]  # Python 3.11's, on 3.10 too
    with using(Codec("one", error)) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert ["seen before", *note("encode", "one")] == notes(caught.value)


class Late(Observer):
    """Makes a hook when it is made itself."""

    def __init__(self) -> None:
        super().__init__("late")
        self.before_store = hookimpl(lambda task: task.nothing)


def test_error_of_a_function_of_an_instance() -> None:
    """An attribute of the instance is a hook as well."""
    with using(Late) as own, pytest.raises(AttributeError) as caught:
        own.call("before_store", task=record())
    assert note("before_store", "late") == notes(caught.value)


def test_hooks_leave_the_manager_as_it_is() -> None:
    """Every plugin stays registered there, by its name."""
    with using(Shelf("one"), Shelf("two"), storage="one"):
        names = {name for name, _ in get_plugin_manager().list_name_plugin()}
        assert {info.name for info in load_plugins().infos} == names
