"""The plugin ``offload`` passes the suites for codings and for observers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from django_celery_results.testing import CodingConformance, ObserverConformance

if TYPE_CHECKING:
    from pytest_django import Settings


@pytest.fixture(autouse=True)
def _storages(settings: Settings) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "memory": memory}


class TestOffload(CodingConformance):
    """Runs the coding suite; only contents in blobs have a digest, not those in the row."""

    plugin = "offload"
    name = "offload"
    options: ClassVar[Mapping[str, Any]] = {"offload": {"STORAGE": "memory", "THRESHOLD": 1024}}
    declined = 1024
    detects_corruption = False


class TestOffloadObserves(ObserverConformance):
    """Runs the observer suite: it deletes the blobs of expired results, and harms no others."""

    plugin = "offload"
    options: ClassVar[Mapping[str, Any]] = TestOffload.options
