"""Shared by the tests of all plugins: the testing kit, and the core tests' site and services.

In the tests of ``plugins/<name>`` only the plugin ``<name>`` is active, though all are installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# As in tests/conftest.py: the checkout must not hide the installed package.
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.plugins_settings")

import django  # noqa: E402  the path and the settings above come first

django.setup()

# pytest finds a conftest's fixtures and hooks by their names in the module.
from tests.backends.conftest import (  # noqa: E402  as above
    results_cache,
    shared_cache,
)
from tests.conftest import (  # noqa: E402  as above
    cache_alias,
    django_db_modify_db_settings,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_xdist_setupnodes,
)

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.configuring import Configure

pytest_plugins = ["django_celery_results.testing.fixtures"]

__all__ = [
    "cache_alias",
    "django_db_modify_db_settings",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_xdist_setupnodes",
    "results_cache",
    "shared_cache",
]

FOLDER = Path(__file__).resolve().parent
# A plugin's tests import their shared modules by name; each name begins with the plugin's.
sys.path.extend(str(path) for path in FOLDER.glob("*/tests"))
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/pyproject.toml"))


@pytest.fixture(autouse=True)
def configure(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Configure:
    """Returns a function that sets ``DJANGO_CELERY_RESULTS``; every test begins with it empty.

    Processes that a test starts have the same plugins active, but none of the other keys.
    """
    own = request.path.relative_to(FOLDER).parts[0]

    def configure(*active: str, **keys: Any) -> None:
        monkeypatch.setenv("RESULTS_PLUGINS", " ".join(active or (own,)))
        others = sorted(set(NAMES) - set(active or (own,)))
        settings.DJANGO_CELERY_RESULTS = {"DISABLED_PLUGINS": others, **keys}

    configure()
    return configure
