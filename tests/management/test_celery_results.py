"""``manage.py celery_results``: what it prints about plugins and hooks."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.management.commands.celery_results import Command as Commands
from django_celery_results.records import Command
from django_celery_results.registry.loading import hook_names
from tests.settings import sqlite
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Tagging:
    """A plugin for the settings."""

    django_celery_results_name = "tagging"

    @hookimpl
    def before_store(self, task: Any) -> None:
        """Tag the task."""


def declare(parser: Any) -> None:
    """Declare the argument that names whom to greet."""
    parser.add_argument("--whom", default="you")


class Greeting:
    """A plugin with two commands: one with its own arguments and help text, one without."""

    django_celery_results_name = "greeting"

    @hookimpl
    def contribute_commands(self) -> Iterator[Command]:
        """Contribute the commands."""

        def run(command: Any, options: Mapping[str, Any]) -> None:
            command.stdout.write(f"hello {options.get('whom')}")

        yield Command(name="wave", help="wave a hand", run=run)
        yield Command(
            name="greet", help="say hello", run=run, add_arguments=declare, description="Greets."
        )


def output(*arguments: str) -> str:
    """The command's output."""
    out = StringIO()
    call_command("celery_results", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_plugins_are_printed_in_execution_order() -> None:
    """The plugin from the settings is called first, so it is printed first."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Tagging]}):
        lines = output("plugins").splitlines()
    assert ["PLUGIN", "tagging", "codec", "django-cache", "django-db"] == [
        line.split()[0] for line in lines
    ]


def test_plugins_that_are_not_active_are_counted() -> None:
    """A disabled plugin is not listed, but the output says that there is one."""
    with override_settings(DJANGO_CELERY_RESULTS={"DISABLED_PLUGINS": ["django-cache"]}):
        printed = output("plugins")
    assert "django-cache" not in printed
    assert "1 more not active; run with --all to see why." in printed


def test_all_plugins_are_printed_with_the_reason() -> None:
    """With --all, disabled and failed plugins are listed with the reason, even if strict."""
    options = {"DISABLED_PLUGINS": ["django-cache"], "PLUGINS": ["no.such.module"]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        printed = output("plugins", "--all")
    assert "django-cache: disabled: named in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']" in printed
    assert "no.such.module: failed: ModuleNotFoundError: No module named 'no'" in printed


def test_plugins_as_json_have_every_field() -> None:
    """The JSON has every field of :class:`PluginInfo`."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Tagging]}):
        first = json.loads(output("plugins", "--json"))[0]
    expected = {
        "name": "tagging",
        "distribution": "",
        "version": "",
        "origin": "settings",
        "reference": f"{__name__}:Tagging",
        "hooks": ["before_store"],
        "status": "active",
        "reason": "",
        "traceback": "",
        "full_name": "tagging",
    }
    assert expected == first


def test_hooks_are_printed_with_signature_and_implementers() -> None:
    """The signature is printed as in the hook specifications."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Tagging]}):
        printed = output("hooks")
    assert "before_store(task: TaskRecord) -> None\n" in printed
    assert "calls all; implemented by: tagging\n" in printed
    assert "result; implemented by: django-db, django-cache\n" in printed


def test_hooks_as_json_are_complete_and_in_order() -> None:
    """The JSON has every hook, in the order of the contract."""
    hooks = json.loads(output("hooks", "--json"))
    assert hook_names() == [hook["name"] for hook in hooks]
    assert {"name", "signature", "summary", "firstresult", "plugins"} == set(hooks[0])


def test_an_action_is_required() -> None:
    """Without an action, the command lists the actions."""
    with pytest.raises(CommandError, match="ACTION"):
        output()


def test_what_fails_to_load_is_shown_from_a_shell_too(tmp_path: Path) -> None:
    """Django runs system checks before a command; here they must not end the command."""
    site = Site(tmp_path, sqlite("shown"))
    site.configure("DJANGO_CELERY_RESULTS = {'PLUGINS': ['no.such.plugin']}")
    assert "no.such.plugin: failed" in site.manage("celery_results", "plugins", "--all")


# -- Commands of plugins -------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["greet", "--whom", "them"], "hello them\n"), (["wave"], "hello None\n")],
)
def test_command_of_a_plugin_is_run(arguments: list[str], expected: str) -> None:
    """It gets its own arguments, if it has any."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Greeting]}):
        assert expected == output(*arguments)


@pytest.mark.parametrize(
    ("action", "words"), [([], "say hello"), (["greet"], "Greets."), (["wave"], "wave a hand")]
)
def test_help_has_the_commands_of_plugins(
    action: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands are in the list of actions, and each help text is above its arguments."""
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Greeting]}),
        pytest.raises(SystemExit),
    ):
        output(*action, "--help")
    assert words in capsys.readouterr().out


# -- What plugins may write ----------------------------------------------------------


class Percent:
    """A plugin with commands whose texts have percent signs."""

    @hookimpl
    def contribute_commands(self) -> Iterator[Command]:
        """Contribute the commands."""

        def run(_command: Any, _options: Mapping[str, Any]) -> None:
            """Do nothing."""

        yield Command(name="half", help="delete 50% of 100 % results", run=run)
        yield Command(name="named", help="100%", run=run, description="50% of %(prog)s")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], ["delete 50% of 100 % results", "100%\n"]),
        (["half", "--help"], ["delete 50% of 100 % results"]),
        (["named", "--help"], ["50% of %(prog)s"]),
    ],
)
def test_percent_signs_in_help_are_printed(
    arguments: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The texts of a command are plain text, though argparse formats them."""
    options = {"PLUGINS": [Percent]}
    with override_settings(DJANGO_CELERY_RESULTS=options), pytest.raises(SystemExit):
        Commands().run_from_argv(["manage.py", "celery_results", *arguments])
    printed = capsys.readouterr().out
    assert [] == [text for text in expected if text not in printed]


def test_plugins_that_failed_are_printed_with_their_tracebacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that would end the process does not end the command."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaving_plugin.py").write_text("raise SystemExit('enough')\n")
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": ["leaving_plugin"]}):
        printed = output("plugins", "--all")
    place = f'      File "{tmp_path / "leaving_plugin.py"}", line 1, in <module>\n'
    assert f"leaving_plugin: failed: SystemExit: enough\n{place}" in printed
