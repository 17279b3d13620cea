"""The Celery app of a worker with only the plugin ``prometheus`` active."""

from __future__ import annotations

from pathlib import Path

from tests import settings
from tests.integration.combinations import Combination, make_app

METERED = Combination(name="metered", broker="filesystem")
PLUGINS = Path(__file__).resolve().parent.parent.parent
OTHERS = {path.parent.name for path in PLUGINS.glob("*/pyproject.toml")} - {"prometheus"}

# A worker's checks connect to every database, but the test run may have created only the first.
settings.DATABASES.pop("secondary", None)
# This runs before Django reads its settings.
settings.DJANGO_CELERY_RESULTS = {"DISABLED_PLUGINS": sorted(OTHERS)}  # type: ignore[attr-defined]  # the tests' own have none
app = make_app(METERED)
app.set_default()
