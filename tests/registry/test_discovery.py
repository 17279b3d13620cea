"""Finding plugins in every form in the settings, and among the installed distributions."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.registry.discovery import PluginInfo, import_plugin
from django_celery_results.registry.loading import load_plugins
from tests.signing import Signing, failure, installed, names, signatures


def test_class_in_settings_is_instantiated() -> None:
    """The class is called without arguments."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Signing]}):
        assert ["signing"] == signatures()


def test_module_in_settings_is_a_plugin() -> None:
    """The functions of the module are its hooks."""
    module = ModuleType("a_module")
    module.before_store = Signing("module").before_store  # type: ignore[attr-defined]  # a hook
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [module]}):
        assert ("a_module", ["module"]) == (names()[0], signatures())


def test_instance_without_a_name_is_called_by_its_class() -> None:
    """This name can be used in DISABLED_PLUGINS."""
    plugin = Signing()
    del plugin.django_celery_results_name
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [plugin]}):
        assert "tests.signing:Signing" == names()[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("json", "json"),
        ("os.path", "posixpath"),
        ("json.decoder", "json.decoder"),
        ("json.decoder.JSONDecoder", "JSONDecoder"),
        ("json.decoder:JSONDecoder", "JSONDecoder"),
        ("json.decoder:JSONDecoder.decode", "decode"),
    ],
)
def test_dotted_path_names_a_module_or_what_is_in_it(source: str, expected: str) -> None:
    """The path has a dot or, as in entry points, a colon before the last name."""
    assert expected == import_plugin(source).__name__


def test_what_is_no_path_is_the_plugin() -> None:
    """An instance is returned unchanged."""
    plugin = Signing()
    assert import_plugin(plugin) is plugin


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "No module named 'nowhere'"),
        ("nowhere.plugin", "No module named 'nowhere'"),
        ("json.nothing", 'Module "json" does not define a "nothing" attribute/class'),
        ("json:nothing", "module 'json' has no attribute 'nothing'"),
    ],
)
def test_path_that_leads_nowhere_says_where_it_ends(source: str, message: str) -> None:
    """The error names the missing module, or the missing name in a module."""
    with pytest.raises((ImportError, AttributeError), match=message):
        import_plugin(source)


@pytest.mark.parametrize("missing", ["absent_library", "broken", "package_of_theirs"])
def test_what_a_module_itself_misses_is_what_is_reported(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the module that the plugin could not import, not the plugin."""
    (tmp_path / "package_of_theirs_too").mkdir()
    module = tmp_path / "package_of_theirs_too" / "broken_plugin.py"
    module.write_text(f"import {missing}\n")
    monkeypatch.syspath_prepend(tmp_path)
    expected = f"ModuleNotFoundError: No module named '{missing}'"
    assert expected == failure("package_of_theirs_too.broken_plugin")


def test_name_has_to_be_a_name() -> None:
    """A plugin without a proper name could be neither selected nor disabled."""
    plugin = Signing()
    plugin.django_celery_results_name = ""
    assert "its django_celery_results_name has to be a name, not ''" == failure(plugin)


def test_distribution_whose_metadata_are_broken() -> None:
    """Its plugin loads with an unknown origin, and the other plugins load too."""
    with installed((None, "orphan", Signing("orphan"))):
        info = load_plugins().infos[0]
    assert ("'orphan' (entry point, installed:orphan)", "active") == (str(info), info.status)


@pytest.mark.parametrize(
    ("distribution", "version", "expected"),
    [("acme", "1.0", "'a' (acme 1.0, b:c)"), ("", "", "'a' (settings, b:c)")],
)
def test_info_as_text(distribution: str, version: str, expected: str) -> None:
    """The text has the name, the origin and the reference."""
    info = PluginInfo(
        name="a", distribution=distribution, version=version, origin="settings", reference="b:c"
    )
    assert expected == str(info)


def test_class_of_an_entry_point_is_refused() -> None:
    """An entry point can name an instance instead."""
    with installed(("acme", "signing", Signing)):
        (failed,) = load_plugins().failures
    assert failed.reason.startswith("installed:signing is a class; make the entry point name an ")


def test_name_of_two_distributions_is_neithers() -> None:
    """Both fail, and each failure names the other plugin."""
    one, two = Signing("twin"), Signing("twin")
    with (
        installed(("acme", "twin", one)),
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [two]}),
    ):
        reasons = {info.reason for info in load_plugins().failures}
    expected = (
        "the name belongs to several plugins: 'twin' (settings, tests.signing:Signing) "
        "and 'twin' (acme 1.0, installed:twin); to switch off one of them, remove it from "
        "PLUGINS, or name only 'acme:twin' in DISABLED_PLUGINS"
    )
    assert {expected} == reasons


def test_name_of_a_built_in_plugin_stays_its_own() -> None:
    """The other plugin fails."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Signing("codec")]}):
        found = [(info.name, info.origin, info.status) for info in load_plugins().infos]
    assert [("codec", "entry point", "active"), ("codec", "settings", "failed")] == [
        one for one in found if one[0] == "codec"
    ]


def test_failure_of_a_plugin_is_told_on_one_line() -> None:
    """A report or log shows each failure in one line, although pluggy's message has several."""

    class Mistaken(Signing):
        @hookimpl
        def after_store(self, tsak: object) -> None:
            """Never called."""

    assert "\n" not in failure(Mistaken)


# -- Full names ----------------------------------------------------------------------


def test_full_name_switches_off_one_of_two_plugins() -> None:
    """Names of distributions are compared as package indexes compare them."""
    with (
        installed(("Acme_One", "twin", Signing("one")), ("acme-two", "twin", Signing("two"))),
        override_settings(DJANGO_CELERY_RESULTS={"DISABLED_PLUGINS": ["acme.one:twin"]}),
    ):
        found = [(one.full_name, one.status) for one in load_plugins().infos if one.name == "twin"]
        other = load_plugins().info("acme-one:twin")
    assert [("acme-two:twin", "active"), ("Acme_One:twin", "disabled")] == found
    assert other is not None
    assert "disabled" == other.status


def test_full_name_of_a_plugin_from_the_settings_is_its_name() -> None:
    """It has no distribution."""
    info = PluginInfo(name="a:b", origin="settings", reference="a:b")
    assert ("a:b", True, False) == (info.full_name, info.is_called("a:b"), info.is_called(":a:b"))


def test_name_of_two_distributions_is_told_with_both_full_names() -> None:
    """The advice does not switch off both."""
    with installed(("acme", "twin", Signing("one")), ("acme-two", "twin", Signing("two"))):
        reasons = {info.reason for info in load_plugins().failures}
    (reason,) = reasons
    advice = "name only 'acme:twin' or 'acme-two:twin' in DISABLED_PLUGINS"
    assert reason.endswith(f"; to switch off one of them, {advice}")


def test_name_of_two_plugins_in_the_settings() -> None:
    """There the only way is to remove one."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Signing("a"), Signing("a")]}):
        reasons = {info.reason for info in load_plugins().failures}
    (reason,) = reasons
    assert reason.endswith("; to switch off one of them, remove it from PLUGINS")


# -- Listed twice --------------------------------------------------------------------

ONE = Signing("one")


@pytest.mark.parametrize(
    "listed",
    [
        [ONE, ONE],
        [Signing, Signing],
        [Signing, "tests.signing:Signing", "tests.signing.Signing"],
        [f"{__name__}:ONE", ONE],
    ],
)
def test_plugin_that_is_listed_twice_is_loaded_once(listed: list[object]) -> None:
    """The first place counts, and the others are no error."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [*listed, Signing("last")]}):
        assert [] == load_plugins().failures
        assert ["last"] == signatures()[1:]


def test_failure_that_is_listed_twice_is_told_once() -> None:
    """It is one plugin."""
    assert failure("nowhere", "nowhere").startswith("ModuleNotFoundError: ")


# -- Errors of an import -------------------------------------------------------------


def write_plugin(directory: Path, source: str) -> str:
    """Write a module that fails, and return its name."""
    name = f"failing_{directory.name.lower()}"
    (directory / f"{name}.py").write_text(source)
    return name


@pytest.mark.parametrize("error", ["SystemExit(3)", "GeneratorExit('3')", "LookupError(3)"])
def test_error_at_import_is_a_failure_with_its_traceback(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback begins in the plugin, after the import system; no command ends."""
    monkeypatch.syspath_prepend(tmp_path)
    module = write_plugin(tmp_path, f"def fail():\n    raise {error}\n\nfail()\n")
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [module]}):
        (failed,) = load_plugins().failures
    places = [line.strip() for line in failed.traceback.splitlines() if "File" in line]
    path = tmp_path / f"{module}.py"
    expected = [f'File "{path}", line 4, in <module>', f'File "{path}", line 2, in fail']
    assert (f"{error.partition('(')[0]}: 3", expected) == (failed.reason, places)


def test_interruption_of_an_import_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person wants to end the command."""
    monkeypatch.syspath_prepend(tmp_path)
    module = write_plugin(tmp_path, "raise KeyboardInterrupt\n")
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [module]}),
        pytest.raises(KeyboardInterrupt),
    ):
        load_plugins()
