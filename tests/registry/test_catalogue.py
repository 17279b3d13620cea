"""Contributions: accepted completely or not at all, and withdrawn when plugins are dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.management.commands.celery_results import SUBCOMMANDS
from django_celery_results.records import Coding, Command, Serializer
from django_celery_results.registry import catalogue as contributions
from django_celery_results.registry import catalogue as distributions
from django_celery_results.registry.catalogue import require_serializer
from django_celery_results.registry.loading import load_plugins

if TYPE_CHECKING:
    from django_celery_results.management.subcommands import Subcommand


class Contributing:
    """A plugin that contributes the given serializers and codings."""

    def __init__(
        self, serializers: Iterable[Any] = (), codings: Iterable[Any] = (), name: str = "giver"
    ) -> None:
        self.django_celery_results_name = name
        self.serializers = serializers
        self.codings = codings

    @hookimpl
    def contribute_serializers(self) -> Iterable[Serializer]:
        """Return them."""
        return self.serializers

    @hookimpl
    def contribute_codings(self) -> Iterable[Coding]:
        """Return them."""
        return self.codings


class Unhashable:
    """A callable that cannot be hashed, which a serializer may use."""

    __hash__ = None  # type: ignore[assignment]  # what unhashable objects have

    def __call__(self, value: Any) -> str:
        """Serialize."""
        return repr(value)


def serializer(name: str = "literal", content_type: str = "text/x-literal") -> Serializer:
    """A serializer that a plugin may contribute."""
    return Serializer(name=name, encode=Unhashable(), decode=eval, content_type=content_type)


def coding(name: str = "same") -> Coding:
    """A coding that a plugin may contribute."""
    return Coding(name=name, encode=bytes, decode=bytes)


def failures(*plugins: object) -> dict[str, str]:
    """The reasons why plugins failed, by their names."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": list(plugins)}):
        return {info.name: info.reason for info in load_plugins().failures}


def test_contributed_serializer_is_known_to_kombu() -> None:
    """Celery looks for serializers in Kombu, and this one works there."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Contributing([serializer()])]}):
        load_plugins()
        dumped = registry.dumps({1: (2,)}, serializer="literal")
    assert ("text/x-literal", "utf-8", "{1: (2,)}") == dumped


def test_contributed_serializer_is_withdrawn_with_its_plugin() -> None:
    """The next set of plugins starts without it."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Contributing([serializer()])]}):
        load_plugins()
    assert ("literal" in registry.name_to_type, "text/x-literal" in registry.type_to_name) == (
        False,
        False,
    )


def test_serializer_that_somebody_withdrew_before() -> None:
    """Dropping its plugin then causes no error."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Contributing([serializer()])]}):
        contributions = load_plugins().contributions
        registry.unregister("literal")
    assert {} == contributions.serializers


def test_contributed_coding_is_found_by_name() -> None:
    """The built-in codings are found as well."""
    own = coding()
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Contributing(codings=[own])]}):
        assert load_plugins().contributions.coding("same") is own


def test_compression_of_kombu_is_found_by_either_name() -> None:
    """Its alias and its content type select one coding."""
    contributions = load_plugins().contributions
    found = contributions.coding("gzip")
    assert found is not None
    assert found is contributions.coding("application/x-gzip")


def test_name_of_a_first_party_coding_is_no_method_of_kombus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stays so while the plugin is not installed: the meaning must not change silently."""
    monkeypatch.setattr(contributions, "FIRST_PARTY", {"gzip": "results-gzip"})
    monkeypatch.setattr(distributions, "FIRST_PARTY", {"gzip": "results-gzip"})
    found = load_plugins().contributions
    assert [None, "application/x-gzip"] == [
        one and one.name for one in map(found.coding, ("gzip", "application/x-gzip"))
    ]
    expected = (
        "is not installed; install results-gzip "
        "(if you mean Kombu's method of that name, write 'application/x-gzip')"
    )
    assert expected == found.missing("gzip")


def test_coding_that_nobody_contributes() -> None:
    """The result is ``None``."""
    assert load_plugins().contributions.coding("nobody's") is None


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"serializers": [serializer("json")]},
            "serializer 'json' exists already, from Kombu",
        ),
        (
            {"serializers": [serializer(content_type="application/json")]},
            (
                "serializer 'literal': the content type 'application/json' belongs to serializer "
                "'json', from Kombu"
            ),
        ),
        (
            {"codings": [coding("identity")]},
            "coding 'identity' exists already, from the plugin 'codec'",
        ),
        (
            {"serializers": [serializer(), serializer(content_type="text/other")]},
            "contribute_serializers returned one name twice: literal, literal",
        ),
        (
            {"serializers": [serializer(), serializer("other")]},
            (
                "contribute_serializers returned one content_type twice: "
                "text/x-literal, text/x-literal"
            ),
        ),
        (
            {"codings": [coding(), coding()]},
            "contribute_codings returned one name twice: same, same",
        ),
        (
            {"serializers": ["literal"]},
            (
                "contribute_serializers returned 'literal'; it has to return instances of "
                "django_celery_results.records.Serializer"
            ),
        ),
        (
            {"codings": [1]},
            (
                "contribute_codings returned 1; it has to return instances of "
                "django_celery_results.records.Coding"
            ),
        ),
        (
            {"codings": 1},
            (
                "The hook 'contribute_codings' of the plugin 'giver' must return "
                "Iterable[Coding], not int"
            ),
        ),
        (
            {"codings": (Coding(name=name, encode=bytes, decode=bytes) for name in ["a b"])},
            (
                "contribute_codings raised ValueError: coding name 'a b' is invalid: use 1 to 40 "
                "letters, digits or !#$%&'*+.^_`|~/-"
            ),
        ),
    ],
)
def test_contribution_that_is_refused(given: dict[str, Any], reason: str) -> None:
    """The plugin fails; the reason names the hook, or the name that is taken and its owner."""
    assert {"giver": reason} == failures(Contributing(**given))


@pytest.mark.parametrize(
    ("kind", "one", "reason"),
    [
        ("codings", coding(), "coding 'same' exists already, from the plugin 'second'"),
        (
            "serializers",
            serializer(),
            "serializer 'literal' exists already, from the plugin 'second'",
        ),
    ],
)
def test_contribution_of_two_plugins(kind: str, one: object, reason: str) -> None:
    """The plugin that is registered first keeps the name; the error of the other names it."""
    plugins = [Contributing(**{kind: [one]}, name=name) for name in ("first", "second")]
    assert {"first": reason} == failures(*plugins)


def test_plugin_that_contributes_something_wrong_contributes_nothing() -> None:
    """Its valid serializer is rejected together with its invalid coding."""
    plugin = Contributing([serializer()], [coding("identity")])
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [plugin]}):
        load_plugins()
        assert "literal" not in registry.name_to_type


# -- Serializers that are asked for --------------------------------------------------


def test_serializer_that_is_there() -> None:
    """No error is raised."""
    require_serializer("json")


def test_serializer_that_is_not_there() -> None:
    """The error lists the existing ones, without Kombu's ``raw``, which cannot hold values."""
    with pytest.raises(BackendMisconfigured) as caught:
        require_serializer("jsno")
    message = str(caught.value)
    assert message.startswith("There is no serializer 'jsno'. Installed: json, ")
    assert "raw" not in message


def test_serializer_of_a_plugin_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(distributions, "FIRST_PARTY", {"quick": "results-quick"})
    expected = "^There is no serializer 'quick'; install results-quick. Installed: json, "
    with pytest.raises(BackendMisconfigured, match=expected):
        require_serializer("quick")


def test_serializer_whose_library_is_not_there() -> None:
    """The error is Kombu's, which says what is missing."""
    registry.register("absent", None, None, "application/x-absent")
    try:
        with pytest.raises(BackendMisconfigured, match="'absent' cannot be used: No "):
            require_serializer("absent")
    finally:
        registry.unregister("absent")


def test_serializer_that_refuses_none() -> None:
    """It exists, so no error is raised."""
    registry.register("picky", len, eval, "application/x-picky")
    try:
        require_serializer("picky")
    finally:
        registry.unregister("picky")


# -- Commands ------------------------------------------------------------------------


def command(name: str = "greet") -> Command:
    """A command that greets."""
    return Command(
        name=name, help="say hello", run=lambda command, _options: command.stdout.write("hello")
    )


class Commanding:
    """A plugin that contributes the given commands."""

    def __init__(self, name: str, *commands: Command) -> None:
        self.django_celery_results_name = name
        self.commands = commands

    @hookimpl
    def contribute_commands(self) -> Iterable[Command]:
        """Return them."""
        return self.commands


def test_command_of_two_plugins() -> None:
    """The plugin that is registered first keeps the name; the error of the other names it."""
    plugins = [Commanding("first", command()), Commanding("second", command())]
    expected = {"first": "command 'greet' exists already, from the plugin 'second'"}
    assert expected == failures(*plugins)


@pytest.mark.parametrize("subcommand", SUBCOMMANDS, ids=lambda one: one.name)
def test_built_in_commands_cannot_be_taken(subcommand: Subcommand) -> None:
    """Each of them belongs to the core."""
    name = subcommand.name
    reason = f"command {name!r} exists already, from the plugin 'django-celery-results'"
    assert {"taker": reason} == failures(Commanding("taker", command(name)))


@pytest.mark.parametrize("name", ["", "Greet", "two words", "-x", "a" * 41])
def test_name_of_a_command_is_a_word(name: str) -> None:
    """It is typed on the command line."""
    with pytest.raises(ValueError, match="is invalid: use up to 40 lowercase letters"):
        command(name)


@pytest.mark.parametrize("broken", [{"run": None}, {"add_arguments": 5}])
def test_command_needs_callables(broken: dict[str, Any]) -> None:
    """A command without a function is found when the plugin is loaded, not when it is run."""
    whole = {"name": "x", "help": "x", "run": print, **broken}
    with pytest.raises(ValueError, match="its functions must be callable"):
        Command(**whole)
