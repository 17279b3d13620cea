"""The plugin ``redact``: on both backends, its settings, and switched off."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from celery.app.task import Context
from django.core.cache import caches

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.models import TaskResult
from django_celery_results.testing import check_plugin_settings
from django_celery_results_redact.defaults import DEFAULT_KEYS, DEFAULT_PATTERNS

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

MASK = "********"
#: As a worker has it: the arguments, which a cache keeps, and their reprs, which a row does.
REQUEST = Context(
    {
        "task": "login",
        "args": [],
        "kwargs": {"password": "swordfish"},
        "argsrepr": "()",
        "kwargsrepr": "{'password': 'swordfish'}",
    }
)


@pytest.mark.parametrize("url", ["django-db", "django-cache", "django-cache://?serializer=json"])
def test_nothing_secret_is_stored(make_backend: MakeBackend, url: str) -> None:
    """On both backends; who asks for the result is given the mask as well."""
    caches["default"].clear()
    backend = make_backend(url, result_extended=True)
    backend.store_result("t1", {"token": "x", "word": "swordfish"}, "SUCCESS", request=REQUEST)
    assert {"token": MASK, "word": MASK} == make_backend(url).get_result("t1")


def test_row_has_its_arguments_masked(make_backend: MakeBackend) -> None:
    """The rest of them is there."""
    make_backend(result_extended=True).store_result("t1", 1, "SUCCESS", request=REQUEST)
    row = TaskResult.objects.get(task_id="t1")
    assert ('"()"', "\"{'password': '********'}\"") == (row.task_args, row.task_kwargs)


class Adds:
    """A plugin that adds a secret to what is stored."""

    django_celery_results_name = "adds"

    @hookimpl
    def before_store(self, task: Any) -> None:
        """Add it."""
        task.result = {**task.result, "token": "x"}


def test_what_other_plugins_add_is_masked(make_backend: MakeBackend, configure: Configure) -> None:
    """It comes last, wherever the others come from."""
    configure(PLUGINS=[Adds])
    backend = make_backend()
    backend.store_result("t1", {"a": 1}, "SUCCESS")
    assert {"a": 1, "token": MASK} == backend.get_result("t1")


def test_nothing_secret_is_logged(
    make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing at all is."""
    caplog.set_level(logging.DEBUG, logger="django_celery_results")
    make_backend().store_result("t1", {"token": "swordfish"}, "SUCCESS", request=REQUEST)
    assert "swordfish" not in caplog.text


# -- Settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({}, []),
        ({"KEYS": [*DEFAULT_KEYS, "iban"], "PATTERNS": [*DEFAULT_PATTERNS, "a+"]}, []),
        ({"TASKS": {"a.*": "all", "b": ["args", "pin"]}, "CARD_NUMBERS": False, "MASK": "?"}, []),
        ("everything", ["E001"]),
        ({"MASK": ""}, ["E002"]),
        ({"KEYS": "password"}, ["E003"]),
        ({"KEYS": ["--"]}, ["E003"]),
        ({"PATTERNS": ["("]}, ["E004"]),
        ({"PATTERNS": ["a*"]}, ["E004"]),
        ({"PATTERNS": "a"}, ["E004"]),
        ({"CARD_NUMBERS": 1}, ["E005"]),
        ({"TASKS": ["a"]}, ["E006"]),
        ({"TASKS": {"a": "args"}}, ["E006"]),
        ({"TASKS": {1: "all"}}, ["E006"]),
        ({"PATERNS": []}, ["W001"]),
    ],
)
def test_wrong_settings_are_reported(configure: Configure, options: Any, ids: list[str]) -> None:
    """By `manage.py check`, each under an id of its own."""
    configure(redact=options)
    expected = [f"django_celery_results_redact.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_wrong_pattern_is_named(configure: Configure) -> None:
    """And what is wrong with it."""
    configure(redact={"PATTERNS": ["a", "(b"]})
    (message,) = check_plugin_settings()
    assert "'(b' is none: missing ), unterminated subpattern at position 0" in message.msg


def test_wrong_setting_stores_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """A rule that cannot be read is never passed over: what it was to mask would be stored."""
    configure(redact={"PATTERNS": ["("]})
    with pytest.raises(BackendMisconfigured, match=r"\['PATTERNS'\] is \['\('\]; it has to be"):
        make_backend().store_result("t1", {"token": "x"}, "SUCCESS")
    assert [] == list(TaskResult.objects.all())


# -- Off -----------------------------------------------------------------------------


def test_disabled_it_masks_nothing_and_old_rows_are_read(
    configure: Configure, make_backend: MakeBackend
) -> None:
    """What was masked stays so: nobody has it any more."""
    make_backend().store_result("t1", {"token": "x"}, "SUCCESS")
    configure(DISABLED_PLUGINS=["redact"])
    backend = make_backend()
    backend.store_result("t2", {"token": "x"}, "SUCCESS")
    assert [{"token": MASK}, {"token": "x"}] == [backend.get_result(one) for one in ("t1", "t2")]
