"""Wrong settings are reported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from django_celery_results.testing import check_plugin_settings

if TYPE_CHECKING:
    from tests.configuring import Configure


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (
            {
                "MAX_TASKS": 1,
                "MAX_STATES": 0,
                "TOKEN": "secret",
                "PUBLIC": True,
                "TIMEOUT": 1,
                "COUNT_LIMIT": 1,
                "GAUGES": False,
                "DATABASE": "secondary",
            },
            [],
        ),
        ("everything", ["E001"]),
        ({"MAX_TASKS": 0}, ["E002"]),
        ({"MAX_STATES": -1}, ["E003"]),
        ({"TOKEN": ""}, ["E004"]),
        ({"PUBLIC": "yes"}, ["E005"]),
        ({"TIMEOUT": 0}, ["E006"]),
        ({"COUNT_LIMIT": 0.5}, ["E007"]),
        ({"GAUGES": ["rows"]}, ["E008"]),
        ({"DATABASE": "tertiary"}, ["E009"]),
        ({"TOKENS": "secret"}, ["W001"]),
    ],
)
def test_wrong_settings_are_reported(configure: Configure, options: Any, ids: list[str]) -> None:
    """Each problem has its own check id."""
    configure(prometheus=options)
    expected = [f"django_celery_results_prometheus.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


@pytest.mark.parametrize(("name", "ids"), [("", []), ("missing", ["E010"])])
def test_missing_directory_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ids: list[str]
) -> None:
    """Otherwise each process would log an error with each result."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / name))
    expected = [f"django_celery_results_prometheus.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_wrong_token_is_not_shown(configure: Configure) -> None:
    """The output of `manage.py check` may be logged."""
    configure(prometheus={"TOKEN": ["geheim"]})
    (message,) = check_plugin_settings()
    assert "geheim" not in message.msg
