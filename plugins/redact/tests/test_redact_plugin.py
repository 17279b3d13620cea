"""The plugin ``redact`` on both backends, its settings, and disabling it."""

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
#: As in a worker: the arguments, which a cache stores, and their reprs, which a row stores.
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
    """The sender reads back the mask too."""
    caches["default"].clear()
    backend = make_backend(url, result_extended=True)
    backend.store_result("t1", {"token": "x", "word": "swordfish"}, "SUCCESS", request=REQUEST)
    assert {"token": MASK, "word": MASK} == make_backend(url).get_result("t1")


def test_row_has_masked_arguments(make_backend: MakeBackend) -> None:
    """The rest of the arguments stays readable."""
    make_backend(result_extended=True).store_result("t1", 1, "SUCCESS", request=REQUEST)
    row = TaskResult.objects.get(task_id="t1")
    assert ('"()"', "\"{'password': '********'}\"") == (row.task_args, row.task_kwargs)


class Adds:
    """A plugin that adds a secret to the result."""

    django_celery_results_name = "adds"

    @hookimpl
    def before_store(self, task: Any) -> None:
        """Add a token."""
        task.result = {**task.result, "token": "x"}


def test_secrets_added_by_other_plugins_are_masked(
    make_backend: MakeBackend, configure: Configure
) -> None:
    """Redact runs last, whatever the order in which plugins are loaded."""
    configure(PLUGINS=[Adds])
    backend = make_backend()
    backend.store_result("t1", {"a": 1}, "SUCCESS")
    assert {"a": 1, "token": MASK} == backend.get_result("t1")


def test_nothing_secret_is_logged(
    make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at level DEBUG."""
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
    """Each problem has its own check id."""
    configure(redact=options)
    expected = [f"django_celery_results_redact.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_wrong_pattern_is_named(configure: Configure) -> None:
    """The message also gives the reason."""
    configure(redact={"PATTERNS": ["a", "(b"]})
    (message,) = check_plugin_settings()
    assert "but '(b' is not one: missing ), unterminated subpattern at position 0" in message.msg


def test_wrong_setting_stores_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """Skipping an unreadable rule would store the secrets that it should mask."""
    configure(redact={"PATTERNS": ["("]})
    with pytest.raises(BackendMisconfigured, match=r"\['PATTERNS'\] is \['\('\]; it has to be"):
        make_backend().store_result("t1", {"token": "x"}, "SUCCESS")
    assert [] == list(TaskResult.objects.all())


# -- Off -----------------------------------------------------------------------------


def test_disabled_plugin_masks_nothing_and_old_rows_are_readable(
    configure: Configure, make_backend: MakeBackend
) -> None:
    """A masked secret is gone for good."""
    make_backend().store_result("t1", {"token": "x"}, "SUCCESS")
    configure(DISABLED_PLUGINS=["redact"])
    backend = make_backend()
    backend.store_result("t2", {"token": "x"}, "SUCCESS")
    assert [{"token": MASK}, {"token": "x"}] == [backend.get_result(one) for one in ("t1", "t2")]
