"""Settings for a process with all first-party plugins active, except hidden ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.plugins_settings import *  # noqa: F403 - all of it
from tests.plugins_settings import INSTALLED_APPS as APPS

# This process imports the shared modules by name, as the tests do.
sys.path.append(str(Path(__file__).resolve().parent))

from together_site import (
    CODINGS,
    LOGGING,
    STORAGES,
    options,
)

__all__ = ["DJANGO_CELERY_RESULTS", "INSTALLED_APPS", "LOGGING", "STORAGES"]

HIDDEN = os.environ.get("RESULTS_HIDDEN", "").split()
INSTALLED_APPS = [app for app in APPS if app.removeprefix("django_celery_results_") not in HIDDEN]
DJANGO_CELERY_RESULTS = options(CODINGS=[one for one in CODINGS if one not in HIDDEN])
