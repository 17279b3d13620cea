"""Plugins that are registered for one test: the given ones, and no others."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import importlib_metadata
import pytest
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings
from django_celery_results.exceptions import PluginError
from django_celery_results.registry.loading import get_plugin_manager, load_plugins
from django_celery_results.testing import plugin_infos, registered_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pluggy import PluginManager

    from django_celery_results.testing.fixtures import Register

BUILT_IN = {"codec", "django-cache", "django-db"}


class Mine:
    """A plugin that does not name itself."""

    @hookimpl
    def before_store(self) -> None:
        """Amend nothing."""


class Named(Mine):
    """A plugin that names itself."""

    django_celery_results_name = "named"


def names(manager: PluginManager) -> set[str]:
    """Return the names of the registered plugins, except the built-in ones."""
    return {name for name, _ in manager.list_name_plugin()} - BUILT_IN


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Install two plugins under the names ``named`` and ``other``; return their module."""
    module = ModuleType("installed_plugin")
    module.plugin, module.other = Named(), Mine()  # type: ignore[attr-defined]  # a module of a test
    monkeypatch.setitem(sys.modules, "installed_plugin", module)
    group = "django_celery_results"
    own = [
        importlib_metadata.EntryPoint(name, f"installed_plugin:{attribute}", group)
        for name, attribute in (("named", "plugin"), ("other", "other"))
    ]
    found: Iterable[Any] = importlib_metadata.entry_points(group=group)
    both = [*found, *own]
    monkeypatch.setattr(importlib_metadata, "entry_points", lambda **_: both)
    return module


def test_plugin_is_there_within_the_block_alone() -> None:
    """The manager after the block is a fresh one without the plugin."""
    plugin = Named()
    with registered_plugins(plugin) as manager:
        assert plugin is manager.get_plugin("named")

    assert plugin not in get_plugin_manager().get_plugins()


def test_plugin_goes_when_the_block_fails() -> None:
    """An error in the block does not leave the plugin registered."""
    plugin = Named()
    with pytest.raises(ZeroDivisionError), registered_plugins(plugin):
        1 / 0  # noqa: B018 - it fails

    assert plugin not in get_plugin_manager().get_plugins()


def test_serializers_go_too() -> None:
    """Kombu's registry forgets them."""
    with registered_plugins("myplugins.literal_serializer"):
        assert "literal" in registry.name_to_type

    assert "literal" not in registry.name_to_type


@pytest.mark.parametrize(
    "plugin", ["tests.testing.test_registering:Named", Named, Named()], ids=["path", "class", ""]
)
def test_plugin_is_what_the_setting_takes(plugin: object) -> None:
    """The setting takes a path, a class or an instance."""
    with registered_plugins(plugin) as manager:
        assert {"named"} == names(manager)


def test_options_are_settings_of_the_package() -> None:
    """The test's own settings are replaced, not amended."""
    with registered_plugins(CODINGS=["gzip"], named={"KEY": 1}):
        options = dict(results_settings.options)

    # This one depends on what is installed.
    del options["DISABLED_PLUGINS"]
    assert {"PLUGINS": [], "CODINGS": ["gzip"], "named": {"KEY": 1}} == options


def test_lists_of_plugins_are_added_to() -> None:
    """Plugins given as options are added to those given as arguments."""
    with registered_plugins(Named, PLUGINS=[Mine], DISABLED_PLUGINS=["codec"]) as manager:
        assert {"django-cache", "django-db"} == BUILT_IN & dict(manager.list_name_plugin()).keys()
        assert {"named", "tests.testing.test_registering:Mine"} == names(manager)


def test_plugin_that_does_not_load_is_an_error() -> None:
    """A test gets the same error as a site would."""
    with pytest.raises(PluginError, match="No module named 'nowhere'"):
        registered_plugins("nowhere").__enter__()


@pytest.mark.usefixtures("installed")
def test_plugin_that_is_installed_and_not_meant_is_disabled() -> None:
    """Another distribution in the environment must not change a test."""
    with registered_plugins():
        found = {info.name for info in load_plugins().infos if info.status == "disabled"}

    assert {"named", "other"} <= found


@pytest.mark.parametrize("given", ["named", "installed_plugin:plugin"])
def test_plugin_that_is_installed_is_registered_once(installed: ModuleType, given: str) -> None:
    """It may be given by name or by path, and keeps the name that it is installed under."""
    with registered_plugins(given) as manager:
        assert {"named"} == names(manager)
        assert installed.plugin is manager.get_plugin("named")


@pytest.mark.usefixtures("installed")
def test_plugin_of_the_name_of_one_that_is_installed_is_an_error() -> None:
    """Two objects may not share a name; the message says which name."""
    with pytest.raises(PluginError, match="the name belongs to several plugins: 'named'"):
        registered_plugins(Named()).__enter__()


def test_fixture_begins_anew(registered: Register) -> None:
    """A second call replaces the plugins of the first."""
    registered(Named())

    manager = registered(Mine())

    assert {"tests.testing.test_registering:Mine"} == names(manager)


def test_infos_tell_of_plugins_that_are_off(registered: Register) -> None:
    """Active ones come first."""
    registered(Named(), DISABLED_PLUGINS=["named"])

    assert {"named": "disabled"}.items() <= {one.name: one.status for one in plugin_infos()}.items()
    assert "active" == plugin_infos()[0].status
