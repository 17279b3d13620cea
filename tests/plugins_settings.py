"""The site that the tests of the first-party plugins live in: the tests' own, with their apps."""

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

# A test switches on what it is about, for the processes that it starts too: some plugins
# cannot do without settings.
ACTIVE = os.environ.get("RESULTS_PLUGINS", "").split()
DJANGO_CELERY_RESULTS = {
    "DISABLED_PLUGINS": sorted(
        path.parent.name
        for path in PLUGINS.glob("*/pyproject.toml")
        if path.parent.name not in ACTIVE
    )
}
