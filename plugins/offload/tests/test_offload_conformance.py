"""The plugin ``offload`` passes the suite for codings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from django_celery_results.testing import CodingConformance

if TYPE_CHECKING:
    from pytest_django import Settings


class TestOffload(CodingConformance):
    """What stays in the row has no digest; that is for what goes elsewhere."""

    plugin = "offload"
    name = "offload"
    options: ClassVar[Mapping[str, Any]] = {"offload": {"STORAGE": "memory", "THRESHOLD": 1024}}
    declined = 1024
    detects_corruption = False

    @pytest.fixture(autouse=True)
    def _storages(self, settings: Settings) -> None:
        memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        settings.STORAGES = {**settings.STORAGES, "memory": memory}
