"""The site for the tests of the first-party plugins: the tests' site with the plugins' apps."""

from __future__ import annotations

import os
from pathlib import Path

from tests.settings import *  # noqa: F403 - all of it
from tests.settings import INSTALLED_APPS as OTHERS

PLUGINS = Path(__file__).resolve().parent.parent / "plugins"

INSTALLED_APPS = [
    *OTHERS,
    *sorted(path.parent.name for path in PLUGINS.glob("*/django_celery_results_*/apps.py")),
]

# A test enables the plugins that it tests, also for the processes that it starts: some plugins
# do not work without settings.
ACTIVE = os.environ.get("RESULTS_PLUGINS", "").split()
DJANGO_CELERY_RESULTS = {
    "DISABLED_PLUGINS": sorted(
        path.parent.name
        for path in PLUGINS.glob("*/pyproject.toml")
        if path.parent.name not in ACTIVE
    )
}
