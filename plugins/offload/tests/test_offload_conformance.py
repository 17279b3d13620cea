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
    """What stays in the row has no digest; that is for what goes elsewhere."""

    plugin = "offload"
    name = "offload"
    options: ClassVar[Mapping[str, Any]] = {"offload": {"STORAGE": "memory", "THRESHOLD": 1024}}
    declined = 1024
    detects_corruption = False


class TestOffloadObserves(ObserverConformance):
    """It deletes the blobs of what has expired, and harms nothing else."""

    plugin = "offload"
    options: ClassVar[Mapping[str, Any]] = TestOffload.options
