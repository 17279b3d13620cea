"""The plugin that records every call of every hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results.registry.loading import hook_names, load_plugins
from django_celery_results.testing import HookCall, RecordingPlugin

if TYPE_CHECKING:
    from pluggy import PluginManager

    from django_celery_results.testing.fixtures import MakeBackend, Register


def test_plugin_takes_every_hook(
    plugin_manager: PluginManager, recording_plugin: RecordingPlugin
) -> None:
    """It implements the whole contract, as wrappers with all arguments."""
    plugin_manager.register(recording_plugin)

    callers = [getattr(plugin_manager.hook, name) for name in hook_names()]
    impls = [(caller.name, *caller.get_hookimpls()) for caller in callers]
    expected = [(caller.name, True, caller.spec.argnames) for caller in callers]
    assert expected == [(name, impl.wrapper, impl.argnames) for name, impl in impls]


def test_plugin_is_no_storage(registered: Register, recording_plugin: RecordingPlugin) -> None:
    """It only wraps the storage that is used."""
    registered(recording_plugin)

    assert ["django-cache", "django-db"] == load_plugins().storages()


@pytest.mark.django_db
def test_calls_are_noted_in_order(
    registered: Register, recording_plugin: RecordingPlugin, make_backend: MakeBackend
) -> None:
    """The order is that in which a result meets the hooks."""
    registered(recording_plugin)
    backend = make_backend()
    recording_plugin.calls.clear()

    backend.store_result("task", 1, states.SUCCESS)

    expected = ["before_store", "encode", "result_retention", "store_task", "after_store"]
    assert expected == recording_plugin.hooks


def test_arguments_are_noted_by_name(plugin_manager: PluginManager) -> None:
    """The recorded arguments are the very objects that were passed."""
    plugin = RecordingPlugin()
    plugin_manager.register(plugin)
    contents: Any = object()

    plugin_manager.hook.decode(contents=contents, accept=None, codings={})

    arguments = {"contents": contents, "accept": None, "codings": {}}
    assert ([HookCall("decode", arguments)], [arguments]) == (plugin.calls, plugin.of("decode"))


def test_answers_go_through(
    registered: Register, recording_plugin: RecordingPlugin, make_backend: MakeBackend
) -> None:
    """The plugin changes no answer."""
    registered(recording_plugin)
    backend = make_backend("django-cache")

    backend.store_result("task", {"a": None}, states.SUCCESS)

    assert {"a": None} == backend.get_result("task")


def test_two_have_two_names(registered: Register) -> None:
    """A test can then register one before a plugin and one after it."""
    manager = registered(RecordingPlugin("first"), RecordingPlugin("last"))

    assert {"first", "last"} <= {name for name, _ in manager.list_name_plugin()}
