"""The core's own settings: the value as written if its type is right, else the default."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_celery_results.conf import ResultsSettings, results_settings

MONTH = 30 * 24 * 3600.0


def read(name: str, **overrides: Any) -> object:
    """The value of the setting ``name`` on a site with these settings."""
    with override_settings(**overrides):
        value: object = getattr(results_settings, name)
        return value


@pytest.mark.parametrize(
    ("written", "expected"), [(191, 191), (0, 255), (-1, 255), ("191", 255), (True, 255)]
)
def test_task_id_max_length(written: object, expected: int) -> None:
    """A number above zero is valid."""
    overrides = {"DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH": written}
    assert expected == read("task_id_max_length", **overrides)


@pytest.mark.parametrize("written", [True, False])
def test_id_first_urls(written: bool) -> None:
    """The value is read as written."""
    assert written is read("id_first_urls", DJANGO_CELERY_RESULTS_ID_FIRST_URLS=written)


@pytest.mark.parametrize("written", [None, "no", 0])
def test_wrong_id_first_urls_counts_as_not_set(written: object) -> None:
    """Only a boolean decides whether the older URLs are served."""
    assert True is read("id_first_urls", DJANGO_CELERY_RESULTS_ID_FIRST_URLS=written)


@pytest.mark.parametrize("written", [None, [], "text"])
def test_options_that_are_no_mapping_are_none(written: object) -> None:
    """The checks report it; until then it must not cause other errors."""
    assert {} == read("options", DJANGO_CELERY_RESULTS=written)


@pytest.mark.parametrize(
    ("name", "key", "written", "expected"),
    [
        ("allow_edits", "ALLOW_EDITS", True, True),
        ("allow_edits", "ALLOW_EDITS", "yes", False),
        ("plugins", "PLUGINS", ["one", "two"], ["one", "two"]),
        ("plugins", "PLUGINS", "one", ()),
        ("disabled_plugins", "DISABLED_PLUGINS", ["one", 2], {"one"}),
        ("disabled_plugins", "DISABLED_PLUGINS", "one", set()),
        ("strict_plugins", "STRICT_PLUGINS", False, False),
        ("strict_plugins", "STRICT_PLUGINS", 0, True),
        ("codings", "CODINGS", ("gzip", None), ("gzip",)),
        ("codings", "CODINGS", "gzip", ()),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", timedelta(hours=1), 3600.0),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", 1.5, 1.5),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", True, MONTH),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", timedelta(0), MONTH),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", None, MONTH),
        ("expire_unfinished_after", "EXPIRE_UNFINISHED_AFTER", float("inf"), MONTH),
        ("chord_claim_timeout", "CHORD_CLAIM_TIMEOUT", timedelta(seconds=2), 2.0),
        ("chord_claim_timeout", "CHORD_CLAIM_TIMEOUT", -1, 300.0),
        ("chord_claim_timeout", "CHORD_CLAIM_TIMEOUT", None, 300.0),
        ("expire_batch_pause", "EXPIRE_BATCH_PAUSE", timedelta(seconds=1), 1.0),
        ("expire_batch_pause", "EXPIRE_BATCH_PAUSE", 0.5, 0.5),
        ("expire_batch_pause", "EXPIRE_BATCH_PAUSE", -1, 0.0),
        ("expire_batch_pause", "EXPIRE_BATCH_PAUSE", True, 0.0),
        ("expire_batch_size", "EXPIRE_BATCH_SIZE", 5, 5),
        ("expire_batch_size", "EXPIRE_BATCH_SIZE", 0, 5000),
        ("expire_batch_size", "EXPIRE_BATCH_SIZE", True, 5000),
        ("expire_batch_size", "EXPIRE_BATCH_SIZE", "5", 5000),
    ],
)
def test_option(name: str, key: str, written: object, expected: object) -> None:
    """The value is read as written if its type is right, else the default is."""
    assert expected == read(name, DJANGO_CELERY_RESULTS={key: written})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("allow_edits", False),
        ("plugins", ()),
        ("disabled_plugins", frozenset()),
        ("strict_plugins", True),
        ("codings", ()),
        ("expire_unfinished_after", MONTH),
        ("chord_claim_timeout", 300.0),
        ("expire_batch_size", 5000),
        ("expire_batch_pause", 0.0),
    ],
)
def test_option_that_is_not_set(name: str, expected: object) -> None:
    """Its value is the default."""
    assert expected == read(name, DJANGO_CELERY_RESULTS={})


@pytest.mark.parametrize(
    ("name", "expected"), [("task_id_max_length", 255), ("id_first_urls", True)]
)
def test_top_level_setting_that_is_not_set(name: str, expected: object) -> None:
    """Its value is the default."""
    setting = f"DJANGO_CELERY_RESULTS_{name.upper()}"
    with override_settings(**{setting: None}):
        delattr(settings, setting)
        assert expected == getattr(results_settings, name)


@pytest.mark.parametrize("top_level", [True, False])
def test_settings_are_declared_under_their_keys(top_level: bool) -> None:
    """The key of a top-level setting is the whole name of the Django setting."""
    prefix = "DJANGO_CELERY_RESULTS_" if top_level else ""
    declared = results_settings.declared(top_level=top_level)
    attributes = [key.removeprefix(prefix).lower() for key in declared]
    assert [getattr(ResultsSettings, name) for name in attributes] == [*declared.values()]


def test_options_of_a_plugin() -> None:
    """They are the mapping under the plugin's name."""
    with override_settings(DJANGO_CELERY_RESULTS={"redact": {"secrets": ["x"]}}):
        assert {"secrets": ["x"]} == results_settings.plugin_options("redact")


@pytest.mark.parametrize("options", [{}, {"redact": "text"}])
def test_options_of_a_plugin_that_has_none(options: dict[str, Any]) -> None:
    """The result is an empty mapping."""
    with override_settings(DJANGO_CELERY_RESULTS=options):
        assert {} == results_settings.plugin_options("redact")


@pytest.mark.parametrize(("written", "expected"), [(True, True), (False, False)])
def test_use_tz(written: bool, expected: bool) -> None:
    """It is Django's own setting."""
    assert expected is read("use_tz", USE_TZ=written)


def test_migration_modules() -> None:
    """It is Django's own setting."""
    assert {"app": None} == read("migration_modules", MIGRATION_MODULES={"app": None})


def test_raw_gives_any_setting() -> None:
    """Any value is returned as written."""
    with override_settings(CELERY_RESULT_BACKEND=5):
        assert 5 == results_settings.raw("CELERY_RESULT_BACKEND")


def test_raw_gives_none_for_what_is_not_set() -> None:
    """A default is not made up."""
    assert results_settings.raw("NO_SUCH_SETTING") is None
