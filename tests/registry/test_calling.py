"""Calling the hooks: one storage among several, missing answers, isolated observers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured, HookError, PluginError
from django_celery_results.registry import calling as hooks
from django_celery_results.registry.calling import Hooks
from tests.memory import Memory, make_app, record
from tests.registry.hook_plugins import (
    Observer,
    Shelf,
    Wrapping,
    encode,
    observe,
    store,
    using,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_celery_results.records import StoredTask, TaskRecord

    Present = Callable[[Sequence[str] | None], StoredTask | None]


class Twofold(Observer):
    """Observes with two functions."""

    @hookimpl(specname="after_store")
    def also(self, task: TaskRecord) -> None:
        """Record the task under another name."""
        self.seen.append(f"also {task.task_id}")


class Signed(Shelf):
    """A storage that also implements another hook."""

    @hookimpl
    def before_store(self, task: TaskRecord) -> None:
        """Sign the task."""
        task.worker = self.django_celery_results_name


class Witness:
    """Records which observer failed, and raises its error if it has one."""

    def __init__(self, name: str = "witness", error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error
        self.seen: list[tuple[str, str, Exception]] = []

    @hookimpl
    def observer_failed(self, plugin: str, hook: str, error: Exception) -> None:
        """Record the arguments."""
        self.seen.append((plugin, hook, error))
        if self.error is not None:
            raise self.error


# -- One storage ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one", "two"])
def test_only_the_selected_storage_is_called(name: str) -> None:
    """The name decides, not the order of the plugins or the names of their functions."""
    with using(Shelf("one"), Shelf("two"), storage=name) as own:
        assert (name, name) == (own.ask("open_storage", location=None), store(own).worker)


def test_wrappers_go_around_any_storage() -> None:
    """A wrapper does not count as a storage, so it wraps whichever storage is selected."""
    with using(Shelf("one"), Wrapping, storage="one") as own:
        assert "wrapped one" == store(own).worker


def test_other_hooks_of_another_storage_are_called() -> None:
    """A storage that is not selected can still observe results."""
    storage = Signed("one")
    with using(storage) as own:
        task = record()
        own.call("before_store", task=task)
    assert "one" == task.worker


def test_storage_that_is_not_there() -> None:
    """The error lists the storages that exist."""
    with (
        pytest.raises(BackendMisconfigured, match=r"Installed: django-cache, django-db, one$"),
        using(Shelf("one"), storage="two"),
    ):
        pass


def test_storage_that_is_disabled() -> None:
    """The error names the setting that disables it."""
    options = {"PLUGINS": [Shelf("one")], "DISABLED_PLUGINS": ["one"]}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(PluginError, match=r"'one' .* is disabled: named in .*DISABLED_PLUGINS"),
    ):
        Hooks("one")


def test_selected_storage_that_failed_is_an_error_even_where_plugins_are_lenient() -> None:
    """No other plugin could keep the results, so this is an error without STRICT_PLUGINS too."""
    shelf = Shelf("one")
    shelf.django_celery_results_api = 99  # type: ignore[attr-defined]  # what a plugin may say
    options = {"PLUGINS": [shelf], "STRICT_PLUGINS": False}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(PluginError, match=r"'one' .* is failed: it was written for version 99"),
    ):
        Hooks("one")


def test_storage_that_may_be_the_one_that_failed() -> None:
    """The failed plugin may be the storage: its name is unknown. So the error shows its failure."""
    options = {"PLUGINS": ["nowhere"], "STRICT_PLUGINS": False}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(BackendMisconfigured, match=r"failed to load: .*No module named 'nowhere'"),
    ):
        Hooks("one")


def test_failures_are_an_error_where_plugins_are_strict() -> None:
    """With STRICT_PLUGINS, this includes a plugin that the storage does not need."""
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": ["nowhere"]}),
        pytest.raises(PluginError),
    ):
        Hooks("django-db")


# -- Answers -------------------------------------------------------------------------


def test_hook_that_has_to_be_answered() -> None:
    """A missing answer is an error that names the hook and the storage."""
    message = "No plugin answered the hook 'forget_task' for storage 'one'"
    with using(Shelf("one"), storage="one") as own, pytest.raises(HookError, match=message):
        own.ask("forget_task", storage=None, task_id="a task", present=None)


def test_none_survives() -> None:
    """A stored ``None`` arrives wrapped, so it is not mistaken for a missing answer."""
    with using() as own:
        contents = encode(own)
        values = own.ask("decode", contents=contents, accept=None, codings={})
    assert {"result": None} == values


def test_hook_that_nobody_implements() -> None:
    """This holds for hooks that collect all answers and for hooks that stop at the first."""
    with using() as own:
        for hook in ("before_store", "result_retention"):
            assert None is own.call(hook, task=record())


@pytest.mark.parametrize(("plugins", "expected"), [((), False), ((Observer("one"),), True)])
def test_listening(plugins: tuple[object, ...], expected: bool) -> None:
    """``listens`` returns whether any plugin implements one of the hooks."""
    with using(*plugins) as own:
        assert expected is own.listens("before_expire", "after_store")


# -- Observers -----------------------------------------------------------------------


def test_observers_are_called_in_order() -> None:
    """The order is that of the list in the settings."""
    seen: list[str] = []
    observers = Observer("one"), Observer("two")
    for observer in observers:
        observer.seen = seen
    with using(*observers) as own:
        assert ["one", "two"] == [name for name, _ in own._observers["after_store"]]
        observe(own)
    assert ["a task", "a task"] == seen


def test_observer_that_fails_harms_no_other() -> None:
    """The observers before and after it are called."""
    observers = [Observer("one"), Observer("two", ValueError("tired")), Observer("three")]
    with using(*observers) as own:
        observe(own)
    assert [["a task"]] * 3 == [observer.seen for observer in observers]


def test_observer_that_fails_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """The log record has the traceback too."""
    with using(Observer("tired", ValueError("no more"))) as own:
        observe(own)
    message = "Plugin 'tired' failed in the hook 'after_store'; the result is not affected"
    assert [(hooks.logger.name, logging.ERROR, message)] == caplog.record_tuples
    assert caplog.records[0].exc_info is not None


def test_observer_that_fails_is_told_to_the_others() -> None:
    """They get its name, the hook and the error; so does the observer that failed."""
    error, witness = ValueError("no more"), Witness()
    with using(Observer("tired", error), witness) as own:
        observe(own)
    assert [("tired", "after_store", error)] == witness.seen


def test_witness_that_fails_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Telling the witnesses again could go on for ever; the other witnesses are called once."""
    error, witness = ValueError("no more"), Witness()
    with using(Observer("tired", error), Witness("weary", OSError("nor I")), witness) as own:
        observe(own)
    assert [("tired", "after_store", error)] == witness.seen
    pairs = [("tired", "after_store"), ("weary", "observer_failed")]
    assert pairs == [one.args for one in caplog.records]


def test_observer_in_two_functions_is_called_once_in_each() -> None:
    """A caller for each plugin, not for each function, would call both functions twice."""
    observer = Twofold("twofold")
    with using(observer) as own:
        observe(own)
    assert ["a task", "also a task"] == sorted(observer.seen)


def test_result_is_stored_although_an_observer_fails() -> None:
    """Celery sees no error."""
    storage = Memory()
    options = {"PLUGINS": [storage, Observer("tired", ValueError("no more"))]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        make_app().backend.mark_as_done("a task", 1)
    assert ["a task"] == list(storage.tasks)
