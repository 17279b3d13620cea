"""Fixtures: the site with all plugins active, and the workers of the integration tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import together_site

from tests.integration.conftest import (
    current_app,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    shared_database,
    transactional_db,
    workers,
)

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.configuring import Configure

__all__ = [
    "current_app",
    "empty_folders",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "shared_database",
    "transactional_db",
    "use",
    "workers",
]


@pytest.fixture(scope="module")
def empty_folders() -> None:
    """Deletes the files of earlier modules and runs."""
    shutil.rmtree(together_site.ROOT, ignore_errors=True)


@pytest.fixture
def use(
    configure: Configure,
    settings: Settings,
    empty_folders: None,  # noqa: ARG001 - it runs before any file is written
) -> Configure:
    """Sets the site's settings, some of them changed; without names, all plugins are active."""
    settings.STORAGES = together_site.STORAGES

    def use(*active: str, **changes: Any) -> None:
        configure(*(active or together_site.ALL), **together_site.options(**changes))

    use()
    return use
