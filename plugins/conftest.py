"""What the tests of all plugins share: the kit, and the site and services of the core's tests.

A test of ``plugins/<name>`` runs with the plugin ``<name>`` alone active, though all are installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# As in tests/conftest.py: the checkout must not hide what is installed.
ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.plugins_settings")

import django  # noqa: E402  the path and the settings above come first

django.setup()

# pytest finds the fixtures and hooks of a conftest by their names in it.
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
# What the tests of a plugin share is imported by its name, which begins with the plugin's.
sys.path.extend(str(path) for path in FOLDER.glob("*/tests"))
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/pyproject.toml"))


@pytest.fixture(autouse=True)
def configure(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Configure:
    """Sets the keys of ``DJANGO_CELERY_RESULTS``; every test begins with none set.

    The processes that a test starts have the same plugins active, and no key.
    """
    own = request.path.relative_to(FOLDER).parts[0]

    def configure(*active: str, **keys: Any) -> None:
        monkeypatch.setenv("RESULTS_PLUGINS", " ".join(active or (own,)))
        others = sorted(set(NAMES) - set(active or (own,)))
        settings.DJANGO_CELERY_RESULTS = {"DISABLED_PLUGINS": others, **keys}

    configure()
    return configure
