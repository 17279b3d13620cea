"""System checks: a test for each id, and one for a correct configuration."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import Error, Warning, run_checks  # noqa: A004 - Django's name for it
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from django_celery_results import checks, conf, hookimpl
from django_celery_results.checks import (
    check_backend,
    check_backend_class,
    check_options,
    check_plugin_settings,
    check_plugins,
    check_settings,
)
from django_celery_results.conf import results_settings
from django_celery_results.migrations import _history as migration_history

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.checks import CheckMessage

#: A wrong value for each option, by the id that reports it.
WRONG_OPTIONS: dict[str, dict[str, Any]] = {
    "E002": {"ALLOW_EDITS": "yes"},
    "E003": {"PLUGINS": "myproject.hooks"},
    "E004": {"DISABLED_PLUGINS": [3]},
    "E005": {"STRICT_PLUGINS": 0},
    "E006": {"CODINGS": "application/x-gzip"},
    "E009": {"EXPIRE_UNFINISHED_AFTER": timedelta(0)},
    "E011": {"EXPIRE_BATCH_SIZE": 0},
    "E015": {"CHORD_CLAIM_TIMEOUT": 0},
    "E016": {"EXPIRE_BATCH_PAUSE": timedelta(seconds=-1)},
}


def ids(messages: Sequence[CheckMessage]) -> list[str]:
    """The ids of the messages, without the package's prefix."""
    return [str(message.id).removeprefix("django_celery_results.") for message in messages]


def test_a_site_without_settings_has_nothing_to_report() -> None:
    """The defaults of all settings are valid."""
    found = [*check_settings(), *check_options(), *check_plugins(), *check_backend()]
    assert [] == found


def test_right_options_have_nothing_to_report() -> None:
    """Each option accepts a value of its kind."""
    options = {
        "ALLOW_EDITS": True,
        "PLUGINS": [],
        "DISABLED_PLUGINS": ["django-cache"],
        "STRICT_PLUGINS": False,
        "CODINGS": ["gzip"],
        "EXPIRE_UNFINISHED_AFTER": 3600.5,
        "CHORD_CLAIM_TIMEOUT": timedelta(minutes=1),
        "EXPIRE_BATCH_SIZE": 10,
        "EXPIRE_BATCH_PAUSE": 0,
        "codec": {},
    }
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert [] == [*check_options(), *check_plugins()]


# Django's own checks ask a MariaDB for its version, unless a test before this one did.
@pytest.mark.django_db
def test_the_checks_are_registered_with_django() -> None:
    """`manage.py check` runs them."""
    with override_settings(DJANGO_CELERY_RESULTS=[]):
        assert "E001" in ids(run_checks())


def test_options_that_are_no_dict_are_e001() -> None:
    """A list is refused, and no other message is reported about it."""
    with override_settings(DJANGO_CELERY_RESULTS=["ALLOW_EDITS"]):
        assert ["E001"] == ids(check_options())


@pytest.mark.parametrize("check_id", WRONG_OPTIONS)
def test_a_wrong_option_has_its_own_id(check_id: str) -> None:
    """A value of the wrong kind is reported under the option's id; the text names key and value."""
    options = WRONG_OPTIONS[check_id]
    with override_settings(DJANGO_CELERY_RESULTS=options):
        (message,) = check_options()
    ((key, value),) = options.items()
    assert [check_id] == ids([message])
    assert f"DJANGO_CELERY_RESULTS[{key!r}] is {value!r}; it has to be " in message.msg


@pytest.mark.parametrize("age", [True, -1, "1d", timedelta(days=-1)])
def test_an_age_is_positive_seconds_or_a_timedelta(age: object) -> None:
    """Ages are neither booleans, nor text, nor negative."""
    with override_settings(DJANGO_CELERY_RESULTS={"EXPIRE_UNFINISHED_AFTER": age}):
        assert ["E009"] == ids(check_options())


@pytest.mark.parametrize("length", [0, -1, "255", True])
def test_a_wrong_id_length_is_e007(length: object) -> None:
    """The length of id columns is a positive number."""
    with override_settings(DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH=length):
        (message,) = check_settings()
    assert ["E007"] == ids([message])
    assert (
        f"DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH is {length!r}; "
        "it has to be a whole number of 1 or more."
    ) == message.msg


def test_a_wrong_id_first_urls_is_e008() -> None:
    """A boolean decides whether the older URLs are served."""
    with override_settings(DJANGO_CELERY_RESULTS_ID_FIRST_URLS="no"):
        assert ["E008"] == ids(check_settings())


def test_a_plugin_that_fails_is_e010_with_its_cause() -> None:
    """The error names the plugin and the reason why it did not load."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": ["no.such.module"]}):
        (message,) = check_plugins()
    assert ["E010"] == ids([message])
    assert "'no.such.module' (settings, no.such.module) failed to load" in message.msg
    assert "No module named 'no'" in message.msg


def test_a_plugin_that_fails_is_told_in_a_sentence() -> None:
    """A question at the end gets no full stop."""

    class Misspelt:
        @hookimpl
        def befor_store(self) -> None:
            """Never called."""

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Misspelt]}):
        (message,) = check_plugins()
    assert message.msg.endswith("did you mean 'before_store'?")


def test_a_plugin_that_fails_is_e010_with_its_place() -> None:
    """The hint ends with the traceback of the plugin's own code."""

    class Failing:
        def __init__(self) -> None:
            raise LookupError("gone")

    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [Failing]}):
        (message,) = check_plugins()
    assert re.search(r"\n +File .*test_checks.py.*, in __init__\n", str(message.hint))


def test_a_plugin_that_fails_is_a_warning_where_plugins_are_not_strict() -> None:
    """STRICT_PLUGINS = False lets the site start."""
    options = {"PLUGINS": ["no.such.module"], "STRICT_PLUGINS": False}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert ["W010"] == ids(check_plugins())


def test_a_coding_that_is_not_installed_is_e012() -> None:
    """The error names the coding and lists the installed ones."""
    with override_settings(DJANGO_CELERY_RESULTS={"CODINGS": ["lz4"]}):
        (message,) = check_plugins()
    assert ["E012"] == ids([message])
    assert (
        "Content coding 'lz4' in DJANGO_CELERY_RESULTS['CODINGS'] is not installed" in message.msg
    )
    assert "application/x-gzip" in message.msg


def test_a_chain_of_codings_that_no_column_holds_is_e014() -> None:
    """The column content_encoding has to hold the names of all codings."""
    with override_settings(DJANGO_CELERY_RESULTS={"CODINGS": ["gzip"] * 4}):
        assert ["E014"] == ids(check_plugins())


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"CELERY_RESULT_BACKEND": "django-db://nowhere"}, "'nowhere'"),
        ({"CELERY_RESULT_BACKEND": "django-db://?option=1"}, "'option'"),
        ({"CELERY_RESULT_BACKEND": "django-cache://nowhere"}, "'nowhere'"),
        ({"CELERY_RESULT_BACKEND": "django-cache://?serializer=jsn"}, "'jsn'"),
        ({"CELERY_RESULT_BACKEND": "django-results+mystore://"}, "'mystore'"),
        (
            {"CELERY_RESULT_BACKEND": "django-cache", "CELERY_CACHE_BACKEND": "nowhere"},
            "CELERY_CACHE_BACKEND",
        ),
    ],
)
def test_a_backend_that_cannot_be_opened_is_e013(settings: dict[str, Any], wrong: str) -> None:
    """The error for a wrong alias or option lists the valid ones."""
    with override_settings(**settings):
        (message,) = check_backend()
    assert ["E013"] == ids([message])
    assert wrong in message.msg
    # The valid values are listed.
    assert any(valid in message.msg for valid in ("default", "json", "django-db"))


@pytest.mark.parametrize(
    "url",
    [
        "django-db",
        "django-db://secondary",
        "django-cache://redis?serializer=json",
        "django-cache://database",
        "django-results+django-db://",
        "redis://nowhere",
        None,
    ],
)
def test_right_and_foreign_backends_are_not_reported(url: str | None) -> None:
    """This covers valid backends, and backends of others."""
    with override_settings(CELERY_RESULT_BACKEND=url):
        assert [] == check_backend()


SUBCLASSES = "tests.backends.subclasses"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Setting", "Setting overrides set,"),
        ("Managed", "KeepingManager overrides delete_expired,"),
        ("Unmanaged", "is not a GroupResultManager"),
    ],
)
def test_overrides_that_cannot_work_are_reported(name: str, message: str) -> None:
    """The message names the method of the site's own backend class."""
    with override_settings(CELERY_RESULT_BACKEND=f"{SUBCLASSES}:{name}"):
        errors = check_backend_class()
    assert {"E018"} == set(ids(errors))
    assert message in errors[0].msg


@pytest.mark.parametrize(
    "url",
    [
        None,
        "django-db://secondary",
        "django-cache",
        "redis://nowhere",
        "no.such.module:Backend",
        "celery.backends.base:KeyValueStoreBackend",
        f"{SUBCLASSES}:Encrypting",
        f"{SUBCLASSES}:Labelled",
    ],
)
def test_other_backend_classes_are_not_reported(url: str | None) -> None:
    """Celery itself reports a class that cannot be imported."""
    with override_settings(CELERY_RESULT_BACKEND=url):
        assert [] == check_backend_class()


def test_a_backend_is_not_opened_while_plugins_fail() -> None:
    """The errors that E010 reports are not reported a second time."""
    options = {"PLUGINS": ["no.such.module"]}
    with override_settings(CELERY_RESULT_BACKEND="django-db", DJANGO_CELERY_RESULTS=options):
        assert [] == check_backend()


@pytest.mark.parametrize("kind", ["locmem.LocMemCache", "dummy.DummyCache"])
def test_a_cache_that_processes_do_not_share_is_w003(kind: str) -> None:
    """The site never sees the results that a worker stores there."""
    caches = {"default": {"BACKEND": f"django.core.cache.backends.{kind}"}}
    with override_settings(CACHES=caches, CELERY_RESULT_BACKEND="django-cache"):
        (message,) = check_plugin_settings()
    assert ["W003"] == ids([message])
    assert "'default'" in message.msg


@pytest.mark.parametrize("kind", ["db.DatabaseCache", "filebased.FileBasedCache"])
def test_a_cache_that_keeps_few_entries_is_w004(kind: str) -> None:
    """With Django's default of 300 entries, results are deleted before they expire."""
    cache = {"BACKEND": f"django.core.cache.backends.{kind}", "LOCATION": "results"}
    with override_settings(CACHES={"default": cache}, CELERY_RESULT_BACKEND="django-cache"):
        (message,) = check_plugin_settings()
    cache["MAX_ENTRIES"] = "100000"
    with override_settings(CACHES={"default": cache}, CELERY_RESULT_BACKEND="django-cache"):
        assert [] == check_plugin_settings()
    assert ["W004"] == ids([message])


def test_an_unknown_key_is_w001_with_the_closest_valid_one() -> None:
    """The hint for a misspelt option suggests the right one."""
    with override_settings(DJANGO_CELERY_RESULTS={"ALOW_EDITS": True}):
        (message,) = check_options()
    assert ["W001"] == ids([message])
    assert "Did you mean 'ALLOW_EDITS'?" == message.hint


def test_an_unknown_key_that_resembles_none_lists_the_valid_ones() -> None:
    """No suggestion is possible, so the hint lists the valid keys."""
    with override_settings(DJANGO_CELERY_RESULTS={"x" * 30: True}):
        (message,) = check_options()
    assert "Valid: ALLOW_EDITS, CHORD_CLAIM_TIMEOUT, CODINGS, " in str(message.hint)


def test_a_disabled_plugin_that_is_not_installed_is_w002() -> None:
    """A name in DISABLED_PLUGINS without effect is reported."""
    with override_settings(DJANGO_CELERY_RESULTS={"DISABLED_PLUGINS": ["zstd"]}):
        (message,) = check_options()
    assert ["W002"] == ids([message])
    assert "'zstd'" in message.msg


def test_a_disabled_plugin_may_be_named_in_full() -> None:
    """The full name has the distribution."""
    options = {"DISABLED_PLUGINS": ["Django_Celery_Results:django-cache", "other:django-db"]}
    with override_settings(DJANGO_CELERY_RESULTS=options):
        (message,) = check_options()
    assert "'other:django-db', which is not an installed plugin" in message.msg


def test_each_setting_has_its_own_id() -> None:
    """Sites silence checks by id, so two settings must not share one."""
    declared = [
        one.check
        for top in (True, False)
        for one in results_settings.declared(top_level=top).values()
    ]
    assert sorted({*WRONG_OPTIONS, "E007", "E008"}) == sorted(declared)


def test_every_id_has_a_test() -> None:
    """A new id in the checks needs a test here that names it."""
    used = _ids_in(checks) | _ids_in(conf) | _ids_in(migration_history)
    tested = _ids_in(inspect.getmodule(test_every_id_has_a_test)) | set(WRONG_OPTIONS)
    # E050 is tested in the module of its own tests.
    assert used - {"E050"} <= tested


def _ids_in(module: Any) -> set[str]:
    words = (
        part
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for part in node.value.replace(".", " ").split()
    )
    return {word for word in words if len(word) == 4 and word[0] in "EW" and word[1:].isdigit()}


# -- What plugins check --------------------------------------------------------------


class Checking:
    """A plugin that returns the given messages, or raises the given error."""

    def __init__(self, name: str, answer: Any) -> None:
        self.django_celery_results_name = name
        self.answer = answer

    @hookimpl
    def check_settings(self) -> Any:
        """Return or raise the answer."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def plugin_messages(*answers: object) -> list[tuple[str | None, str]]:
    """The ids and messages that plugins report."""
    plugins = [Checking(f"p{number}", one) for number, one in enumerate(answers)]
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": plugins}):
        return [(message.id, message.msg) for message in check_plugin_settings()]


def test_what_plugins_report_is_collected() -> None:
    """They come in the order in which the plugins are called, with the plugins' ids."""
    first, second = Error("one", id="a.E001"), Warning("two", id="b.W001")
    expected = [("a.E001", "one"), ("b.W001", "two")]
    assert expected == plugin_messages([first], iter([second]))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (KeyError("LEVEL"), "KeyError: 'LEVEL'"),
        (["text"], "it returned 'text', not a CheckMessage"),
    ],
)
def test_plugin_that_fails_to_check_is_e017(answer: object, reason: str) -> None:
    """The message names the plugin, and the messages of other plugins are still reported."""
    error = (
        "django_celery_results.E017",
        f"The plugin 'p0' failed to check its settings: {reason}.",
    )
    assert [error, ("b.W001", "two")] == plugin_messages(answer, [Warning("two", id="b.W001")])


@pytest.mark.django_db
def test_manage_check_asks_the_plugins() -> None:
    """The check is registered with Django."""
    plugin = Checking("p0", [Error("one", id="a.E001")])
    with (
        override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": [plugin]}),
        pytest.raises(SystemCheckError, match=r"a\.E001"),
    ):
        call_command("check")
