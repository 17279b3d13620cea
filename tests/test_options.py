"""A plugin's own settings: read with their type, and reported if they are wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.options import (
    Option,
    PluginOptions,
    boolean,
    names,
    seconds,
    seconds_above_zero,
    storage_alias,
    text,
    whole_number,
)


class Options(PluginOptions):
    """Settings of the plugin ``sample``."""

    plugin = "sample"
    check_prefix = "acme_sample"

    level: Option[int] = Option(whole_number(1, 9), default=3, check="E002")
    place: Option[str] = Option(text, check="E003")


options = Options()


def written(value: Any) -> override_settings:
    """A site with these settings for the plugin."""
    return override_settings(DJANGO_CELERY_RESULTS={"sample": value})


def checked(value: Any) -> list[tuple[str, str]]:
    """The ids and messages that the checks report."""
    with written(value):
        return [(message.id or "", message.msg) for message in options.check()]


def test_value_that_is_set() -> None:
    """The attribute returns it."""
    with written({"LEVEL": 7}):
        assert 7 == options.level


@pytest.mark.parametrize("value", [{}, {"LEVEL": None}, "no dict"])
def test_default_stands_for_what_is_not_set(value: Any) -> None:
    """The default is used if the setting is missing or None, and if the plugin has none at all."""
    with written(value):
        assert 3 == options.level


def test_wrong_value_is_an_error_that_says_what_is_right() -> None:
    """A plugin never runs with a wrong setting."""
    expected = (
        r"DJANGO_CELERY_RESULTS\['sample'\]\['LEVEL'\] is 10; "
        r"it has to be a whole number from 1 to 9\."
    )
    with written({"LEVEL": 10}), pytest.raises(BackendMisconfigured, match=expected):
        _ = options.level


def test_value_that_has_to_be_set_and_is_not() -> None:
    """Without a default, the plugin cannot go on."""
    with written({}), pytest.raises(BackendMisconfigured, match="'PLACE'] is not set; it has to"):
        _ = options.place


def test_option_of_the_class_is_the_declaration() -> None:
    """The declaration has the key."""
    assert "LEVEL" == Options.level.key


def test_option_says_what_its_value_has_to_be() -> None:
    """The words are those of the reader's error, whether or not a value is set."""
    assert "a whole number from 1 to 9" == Options.level.wanted


def test_option_whose_reader_takes_anything_says_so() -> None:
    """Its reader never raises an error that describes a right value."""
    option: Option[str] = Option(repr, check="E002")
    assert "any value" == option.wanted


def test_value_by_the_name_of_the_plugin() -> None:
    """It equals the value of the attribute."""
    with written({"LEVEL": 7}):
        assert 7 == Options.level.value("sample")


def test_check_finds_nothing_wrong() -> None:
    """Every setting is right here."""
    assert [] == checked({"LEVEL": 1, "PLACE": "here"})


def test_check_reports_each_wrong_value() -> None:
    """Each has its own id."""
    assert ["acme_sample.E002", "acme_sample.E003"] == [one for one, _ in checked({"LEVEL": "x"})]


def test_check_reports_what_is_no_dict() -> None:
    """It is the only error, because the settings themselves cannot be checked."""
    message = "DJANGO_CELERY_RESULTS['sample'] is 5, not a dict of options."
    assert [("acme_sample.E001", message)] == checked(5)


@pytest.mark.parametrize(
    ("key", "hint"), [("LEVLE", "'LEVEL'"), ("XYZ", "'LEVEL' or 'PLACE'"), (1, "'LEVEL' or")]
)
def test_check_warns_of_unknown_keys(key: object, hint: str) -> None:
    """The hint suggests the closest key, or lists all keys."""
    with written({"PLACE": "here", key: 1}):
        (message,) = options.check()
    assert ("acme_sample.W001", True) == (message.id, f"Did you mean {hint}" in str(message.hint))


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (whole_number(0), 10**9, 10**9),
        (whole_number(1, 9), 9, 9),
        (boolean, False, False),
        (text, "a", "a"),
        (names, ["a", "b"], ("a", "b")),
        (names, (), ()),
        (seconds, timedelta(minutes=1), 60.0),
        (seconds, 0, 0.0),
        (seconds_above_zero, timedelta(minutes=1), 60.0),
        (seconds_above_zero, 0.5, 0.5),
        (storage_alias, "staticfiles", "staticfiles"),
    ],
)
def test_readers_give_the_value(read: Any, value: object, expected: object) -> None:
    """The plugin works with this value."""
    assert expected == read(value)


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (whole_number(1), 0, "a whole number of 1 or more"),
        (whole_number(1, 9), True, "a whole number from 1 to 9"),
        (whole_number(1, 9), 10, "a whole number from 1 to 9"),
        (boolean, 1, "True or False"),
        (text, "", "a string that is not empty"),
        (names, "ab", "a list of strings"),
        (names, [1], "a list of strings"),
        (seconds, -1, "a timedelta, or seconds, not below zero"),
        (seconds, float("inf"), "a timedelta, or seconds, not below zero"),
        (seconds, 10**400, "a timedelta, or seconds, not below zero"),
        (seconds, True, "a timedelta, or seconds, not below zero"),
        (seconds, "1", "a timedelta, or seconds, not below zero"),
        (seconds_above_zero, 0, "a timedelta, or seconds, above zero"),
        (seconds_above_zero, timedelta(0), "a timedelta, or seconds, above zero"),
        (seconds_above_zero, "1", "a timedelta, or seconds, above zero"),
        (storage_alias, "s3", "one of STORAGES: 'default', 'staticfiles'"),
        (storage_alias, None, "one of STORAGES: 'default', 'staticfiles'"),
    ],
)
def test_readers_say_what_a_value_has_to_be(read: Any, value: object, words: str) -> None:
    """These words end the sentence of the error."""
    with pytest.raises(ValueError, match=f"^{words}$"):
        read(value)


# -- Secrets -------------------------------------------------------------------------


class Secretive(PluginOptions):
    """Settings that include a secret."""

    plugin = "sample"
    check_prefix = "acme_sample"

    word: Option[str] = Option(text, check="E002", secret=True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"WORD": ["hunter2"]}, "['WORD'] is wrong (it is secret, and not shown); it has to be a"),
        ({}, "['WORD'] is not set; it has to be a string"),
        (["hunter2"], "['sample'] is list, not a dict of options."),
    ],
)
def test_secret_is_never_shown(value: Any, says: str) -> None:
    """This covers a wrong value, and a value under a wrong key."""
    with written(value):
        [message] = Secretive().check()
    assert says in message.msg
    assert "hunter2" not in message.msg
