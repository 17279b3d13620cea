"""Shared by the tests of offload: the plugin switched on, with its blobs in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

from django_celery_results_offload.outage import outage

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.configuring import Configure

OPTIONS = {"STORAGE": "disk", "THRESHOLD": 2000}


@pytest.fixture
def on_disk(settings: Settings, tmp_path: Path, configure: Configure) -> None:
    """Sets up a storage on disk and the plugin, and clears what an earlier test left."""
    disk = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "disk": disk}
    configure(CODINGS=["offload"], offload=OPTIONS)
    caches["default"].clear()
    outage.silent_until, outage.unsaid = 0, 0
