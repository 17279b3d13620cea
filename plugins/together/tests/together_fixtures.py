"""The site with all plugins on, for the tests; and the workers that the integration tests have."""

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
    """Nothing of an earlier module, or run."""
    shutil.rmtree(together_site.ROOT, ignore_errors=True)


@pytest.fixture
def use(
    configure: Configure,
    settings: Settings,
    empty_folders: None,  # noqa: ARG001 - before anything is put there
) -> Configure:
    """Sets the site's settings, with some keys changed; all plugins are on that nothing names."""
    settings.STORAGES = together_site.STORAGES

    def use(*active: str, **changes: Any) -> None:
        configure(*(active or together_site.ALL), **together_site.options(**changes))

    use()
    return use
