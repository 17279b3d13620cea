"""Wrong settings, and an app that is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test.utils import modify_settings

from django_celery_results.testing import check_plugin_settings

if TYPE_CHECKING:
    from tests.configuring import Configure


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"HEADERS": ["a"], "FUNCTION": "labels_functions.labels_of", "MAX_LABELS": 100}, []),
        (["tenant"], ["E001"]),
        ({"HEADERS": "request_id"}, ["E002"]),
        ({"HEADERS": ["request_id", ""]}, ["E002"]),
        ({"HEADERS": ["x" * 51]}, ["E002"]),
        ({"FUNCTION": "labels_functions.absent"}, ["E003"]),
        ({"FUNCTION": "labels_functions.__doc__"}, ["E003"]),
        ({"FUNCTION": 3}, ["E003"]),
        ({"MAX_LABELS": 0}, ["E004"]),
        ({"HEADRES": []}, ["W001"]),
    ],
)
def test_wrong_settings_are_reported(configure: Configure, options: Any, ids: list[str]) -> None:
    """Each problem has its own check id."""
    configure(labels=options)
    expected = [f"django_celery_results_labels.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_missing_app_is_reported(configure: Configure) -> None:
    """The hint offers to install the app or to disable the plugin."""
    configure()
    with modify_settings(INSTALLED_APPS={"remove": ["django_celery_results_labels"]}):
        [message] = check_plugin_settings()
    assert "django_celery_results_labels.E005" == message.id
    assert "Add 'django_celery_results_labels' to INSTALLED_APPS" in str(message.hint)
    assert "add 'labels' to DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']" in str(message.hint)
