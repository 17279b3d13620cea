"""Plugins for the time of a test: the ones that are meant, and no others."""

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
    """A plugin like any other."""

    @hookimpl
    def before_store(self) -> None:
        """Amend nothing."""


class Named(Mine):
    """One that has a name."""

    django_celery_results_name = "named"


def names(manager: PluginManager) -> set[str]:
    """Return the names of the plugins that are registered, but for the built-in ones."""
    return {name for name, _ in manager.list_name_plugin()} - BUILT_IN


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A plugin that is installed under the name ``named``, beside another one."""
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
    """And the built-in ones are, before and after."""
    plugin = Named()
    with registered_plugins(plugin) as manager:
        assert plugin is manager.get_plugin("named")

    assert plugin not in get_plugin_manager().get_plugins()


def test_plugin_goes_when_the_block_fails() -> None:
    """Whatever happened."""
    plugin = Named()
    with pytest.raises(ZeroDivisionError), registered_plugins(plugin):
        1 / 0  # noqa: B018 - it fails

    assert plugin not in get_plugin_manager().get_plugins()


def test_serializers_go_too() -> None:
    """Kombu forgets them."""
    with registered_plugins("myplugins.literal_serializer"):
        assert "literal" in registry.name_to_type

    assert "literal" not in registry.name_to_type


@pytest.mark.parametrize(
    "plugin", ["tests.testing.test_registering:Named", Named, Named()], ids=["path", "class", ""]
)
def test_plugin_is_what_the_setting_takes(plugin: object) -> None:
    """A path, a class, an instance."""
    with registered_plugins(plugin) as manager:
        assert {"named"} == names(manager)


def test_options_are_settings_of_the_package() -> None:
    """Nothing else is in it."""
    with registered_plugins(CODINGS=["gzip"], named={"KEY": 1}):
        options = dict(results_settings.options)

    # Which depends on what is installed.
    del options["DISABLED_PLUGINS"]
    assert {"PLUGINS": [], "CODINGS": ["gzip"], "named": {"KEY": 1}} == options


def test_lists_of_plugins_are_added_to() -> None:
    """Those that are given as options come behind."""
    with registered_plugins(Named, PLUGINS=[Mine], DISABLED_PLUGINS=["codec"]) as manager:
        assert {"django-cache", "django-db"} == BUILT_IN & dict(manager.list_name_plugin()).keys()
        assert {"named", "tests.testing.test_registering:Mine"} == names(manager)


def test_plugin_that_does_not_load_is_an_error() -> None:
    """As for whoever uses it."""
    with pytest.raises(PluginError, match="No module named 'nowhere'"):
        registered_plugins("nowhere").__enter__()


@pytest.mark.usefixtures("installed")
def test_plugin_that_is_installed_and_not_meant_is_disabled() -> None:
    """Another distribution in the environment changes no test."""
    with registered_plugins():
        found = {info.name for info in load_plugins().infos if info.status == "disabled"}

    assert {"named", "other"} <= found


@pytest.mark.parametrize("given", ["named", "installed_plugin:plugin"])
def test_plugin_that_is_installed_is_registered_once(installed: ModuleType, given: str) -> None:
    """By its name or as the object, under the name that it is installed by."""
    with registered_plugins(given) as manager:
        assert {"named"} == names(manager)
        assert installed.plugin is manager.get_plugin("named")


@pytest.mark.usefixtures("installed")
def test_plugin_of_the_name_of_one_that_is_installed_is_an_error() -> None:
    """Two objects are one too many: the message says which."""
    with pytest.raises(PluginError, match="the name belongs to several plugins: 'named'"):
        registered_plugins(Named()).__enter__()


def test_fixture_begins_anew(registered: Register) -> None:
    """What was registered before is not there any more."""
    registered(Named())

    manager = registered(Mine())

    assert {"tests.testing.test_registering:Mine"} == names(manager)


def test_infos_tell_of_plugins_that_are_off(registered: Register) -> None:
    """Active ones come first."""
    registered(Named(), DISABLED_PLUGINS=["named"])

    assert {"named": "disabled"}.items() <= {one.name: one.status for one in plugin_infos()}.items()
    assert "active" == plugin_infos()[0].status
