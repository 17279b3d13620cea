"""The plugin manager: how plugins are ordered and described, and when they are loaded again."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.exceptions import PluginError
from django_celery_results.registry import loading as plugins
from django_celery_results.registry.discovery import PluginInfo
from django_celery_results.registry.loading import get_plugin_manager, hook_names, load_plugins
from tests.memory import Memory
from tests.signing import Signing, failure, installed, names, signatures

BUILT_IN = ["codec", "django-cache", "django-db"]


class First(Signing):
    """A plugin that asks to be called first."""

    @hookimpl(tryfirst=True)
    def before_store(self, task: Any) -> None:
        """Sign the task."""
        super().before_store(task)


class Last(Signing):
    """A plugin that asks to be called last."""

    @hookimpl(trylast=True)
    def before_store(self, task: Any) -> None:
        """Sign the task."""
        super().before_store(task)


class Around:
    """A plugin that wraps all others."""

    django_celery_results_name = "around"

    @hookimpl(wrapper=True)
    def before_store(self, task: Any) -> Generator[None, Any, Any]:
        """Sign the task twice."""
        task.worker = f"({task.worker or ''}"
        answers = yield
        task.worker = f"{task.worker})"
        return answers


# -- Order ---------------------------------------------------------------------------


def test_built_in_plugins_come_through_entry_points() -> None:
    """They are found like any other plugin, without a private way in."""
    found = [(info.name, info.origin, info.built_in) for info in load_plugins().infos]
    assert [(name, "entry point", True) for name in BUILT_IN] == found


def test_settings_come_first_as_listed() -> None:
    """The plugins from entry points follow."""
    options = {"PLUGINS": [Signing("z"), Signing("a"), Signing("m")]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert (["z", "a", "m", *BUILT_IN], ["z", "a", "m"]) == (names(), signatures())


def test_entry_points_come_by_distribution_then_name() -> None:
    """Neither the order on disk nor upper and lower case in names matter."""
    wanted = [("Zoo", "a"), ("acme", "z"), ("acme", "b"), ("zebra", "c")]
    with installed(*((distribution, name, Signing(name)) for distribution, name in wanted)):
        assert (["b", "z", "c", "a", *BUILT_IN], ["b", "z", "c", "a"]) == (names(), signatures())


def test_settings_come_before_entry_points() -> None:
    """The site's own plugins come before those of distributions."""
    options = {"PLUGINS": [Signing("listed")]}
    with (
        installed(("acme", "installed", Signing("installed"))),
        override_settings(DJANGO_CELERY_RESULTS=options),
    ):
        assert ["listed", "installed"] == signatures()


def test_tryfirst_trylast_and_wrapper_are_pluggys() -> None:
    """The markers of pluggy take precedence over the order of the list."""
    listed = [Last("last"), Signing("middle"), First("first"), Around]
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": listed}):
        assert ["(first", "middle", "last", ")"] == signatures()


# -- Refused -------------------------------------------------------------------------


def test_object_that_is_a_plugin_already() -> None:
    """This happens if a plugin is installed and also listed in the settings."""
    plugin = Signing("listed")
    expected = "it is the same object as the plugin 'installed'; remove one of the two"
    with installed(("acme", "installed", plugin)):
        assert expected == failure(plugin)


def test_object_that_cannot_be_hashed() -> None:
    """The manager of pluggy keeps plugins in sets."""
    plugin = SimpleNamespace(before_store=Signing().before_store)
    assert failure(plugin).startswith("TypeError: ")


def test_nothing_is_no_plugin() -> None:
    """A ``None`` in the list implements no hook."""
    assert failure(None).startswith("it implements no hook; mark its functions with")


def test_unknown_hooks_may_be_optional() -> None:
    """A plugin may support a hook of another version of the contract."""

    class Ahead(Signing):
        @hookimpl(optionalhook=True)
        def hook_of_tomorrow(self) -> None:
            """Wait."""

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Ahead]}):
        assert ("before_store",) == load_plugins().infos[0].hooks


def test_unknown_hook_with_no_likeness() -> None:
    """The error suggests a name only if a similar one exists."""

    class Lost(Signing):
        @hookimpl
        def xyzzy(self) -> None:
            """Do nothing."""

    assert "there is no hook 'xyzzy'" == failure(Lost)


def test_two_plugins_with_one_misspelling_are_two_failures() -> None:
    """The hook must not become known after the first plugin has registered it."""

    class Misspelt:
        def __init__(self, name: str) -> None:
            self.django_celery_results_name = name

        @hookimpl
        def befor_store(self, task: Any) -> None:
            """Never called."""

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Misspelt("a"), Misspelt("b")]}):
        reasons = [info.reason for info in load_plugins().failures]
    assert ["there is no hook 'befor_store'; did you mean 'before_store'?"] * 2 == reasons


def test_plugin_asks_for_the_plugins_while_it_is_loaded() -> None:
    """It gets an error, instead of starting to load the plugins again."""
    expected = "a plugin must not ask for the plugins while they are being loaded"

    class Impatient(Signing):
        def __init__(self) -> None:
            super().__init__()
            load_plugins()

    assert expected == failure(Impatient)


def test_loading_can_be_tried_again_after_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary error of the machine must not last until the process ends."""
    plugins.forget_plugins()
    with monkeypatch.context() as patch:
        patch.setattr(plugins, "_build", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_plugins()
    assert BUILT_IN == names()


# -- Known ---------------------------------------------------------------------------


def test_info_has_what_is_known() -> None:
    """This plugin comes from the settings."""
    plugin = Signing("mine")
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [plugin]}):
        info = load_plugins().info("mine")
    reference = "tests.signing:Signing"
    expected = PluginInfo(
        name="mine", origin="settings", reference=reference, hooks=("before_store",)
    )
    assert expected == info


def test_info_of_a_plugin_that_is_not_there() -> None:
    """The result is ``None``."""
    assert load_plugins().info("nobody") is None


def test_storages_are_the_schemes_of_urls() -> None:
    """These are the plugins that open a storage; a wrapper around opening does not count."""

    class Watching:
        @hookimpl(wrapper=True)
        def open_storage(self) -> Generator[None, Any, Any]:
            """Wrap the opening."""
            return (yield)

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Watching(), Memory()]}):
        assert ["django-cache", "django-db", "memory"] == load_plugins().storages()


def test_hook_names_are_those_of_the_contract() -> None:
    """The order is that in which a result meets the hooks."""
    order = ["contribute_serializers", "encode", "before_store", "store_task", "after_expire"]
    assert order == sorted(order, key=hook_names().index)


def test_manager_is_pluggys() -> None:
    """Everything that pluggy documents about its manager holds here."""
    assert type(get_plugin_manager()) is pluggy.PluginManager


# -- Once ----------------------------------------------------------------------------


def test_manager_is_built_once() -> None:
    """The second call returns the same object."""
    assert get_plugin_manager() is get_plugin_manager()


def test_manager_is_built_anew_when_the_settings_change() -> None:
    """Tests can therefore use ``override_settings``."""
    before = get_plugin_manager()
    with override_settings(DJANGO_CELERY_RESULTS={}):
        assert get_plugin_manager() is not before


def test_manager_stays_when_other_settings_change() -> None:
    """Other settings do not cause the plugins to be loaded again."""
    before = get_plugin_manager()
    with override_settings(USE_TZ=False):
        assert get_plugin_manager() is before


# -- Strict or lenient ---------------------------------------------------------------


def test_failure_is_an_error_at_first_use() -> None:
    """Every later use raises it too."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": ["nowhere"]}):
        for _ in range(2):
            with pytest.raises(PluginError, match="No module named 'nowhere'"):
                get_plugin_manager()


def test_failure_is_logged_where_plugins_are_lenient(caplog: pytest.LogCaptureFixture) -> None:
    """The other plugins work."""
    options = {"PLUGINS": ["nowhere", Signing], "STRICT_PLUGINS": False}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert ["signing"] == signatures()
    reason = "ModuleNotFoundError: No module named 'nowhere'"
    message = f"Plugin 'nowhere' (settings, nowhere) failed to load: {reason}"
    logged = (plugins.logger.name, logging.ERROR, message)
    assert [logged] == caplog.record_tuples


def test_disabled_plugin_is_not_imported() -> None:
    """Even a plugin that cannot be imported can be disabled."""
    options = {"PLUGINS": ["nowhere"], "DISABLED_PLUGINS": ["nowhere"]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        get_plugin_manager()
        info = load_plugins().info("nowhere")
    reason = "named in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']"
    assert info is not None
    assert ("disabled", reason) == (info.status, info.reason)


def test_disabled_plugin_is_not_called() -> None:
    """The name that the plugin sets for itself is the one in DISABLED_PLUGINS."""
    options = {"PLUGINS": [Signing("a"), Signing("b")], "DISABLED_PLUGINS": ["a"]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert (["b", *BUILT_IN, "a"], ["b"]) == (names(), signatures())


def test_plugin_with_a_part_of_a_storage_is_refused() -> None:
    """It would store results that it could never read."""

    class Half(Signing):
        @hookimpl
        def open_storage(self) -> str:
            """Open."""
            return "half"

        @hookimpl
        def store_task(self) -> bool:
            """Pretend."""
            return True

    reason = "it implements open_storage, store_task like a storage but not load_tasks, forget_task"
    assert failure(Half).startswith(reason)


# -- Errors that would end the process -----------------------------------------------


class Contributing(Signing):
    """A plugin whose contribution raises its error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("contributing")
        self.error = error

    @hookimpl
    def contribute_commands(self) -> Any:
        """Raise the error."""
        raise self.error


def test_contribution_that_would_end_the_process_is_a_failure() -> None:
    """The plugin is then in neither manager."""
    told = "The hook 'contribute_commands' of the plugin 'contributing' raised SystemExit: 3"
    options = {"PLUGINS": [Contributing(SystemExit(3))], "STRICT_PLUGINS": False}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        loaded = load_plugins()
    assert [told] == [info.reason for info in loaded.failures]
    names = [name for one in (loaded.manager, loaded.checked) for name, _ in one.list_name_plugin()]
    assert "contributing" not in names


def test_interruption_of_a_contribution_is_one() -> None:
    """A person wants to end the command."""
    options = {"PLUGINS": [Contributing(KeyboardInterrupt())]}
    with override_settings(DJANGO_CELERY_RESULTS=options), pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_failures_are_raised_with_their_tracebacks() -> None:
    """An error in the plugin's own code is shown with its place."""
    options = {"PLUGINS": [Contributing(LookupError("gone"))]}
    with (
        override_settings(DJANGO_CELERY_RESULTS=options),
        pytest.raises(PluginError, match=r"gone\n +File .*test_loading.*, in contribute_commands"),
    ):
        get_plugin_manager()


@pytest.mark.parametrize(
    ("error", "raised"), [(SystemExit(3), None), (KeyboardInterrupt(), KeyboardInterrupt)]
)
def test_disabled_plugin_that_would_end_the_process_as_it_is_read(
    error: BaseException, raised: type[BaseException] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results of other plugins stay readable, but a person may interrupt the reading."""

    def fail(_candidate: object) -> None:
        raise error

    options = {"PLUGINS": ["nowhere"], "DISABLED_PLUGINS": ["nowhere"]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        loaded = load_plugins()
        monkeypatch.setattr(plugins, "fetch", fail)
        with pytest.raises(raised) if raised else nullcontext():
            loaded.load_readers()
