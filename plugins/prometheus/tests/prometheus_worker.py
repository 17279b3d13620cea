"""The Celery app of a worker process whose plugin ``prometheus`` counts; no other is active."""

from __future__ import annotations

from pathlib import Path

from tests import settings
from tests.integration.combinations import Combination, make_app

METERED = Combination(name="metered", broker="filesystem")
PLUGINS = Path(__file__).resolve().parent.parent.parent
OTHERS = {path.parent.name for path in PLUGINS.glob("*/pyproject.toml")} - {"prometheus"}

# Django's checks of a worker connect to every database; the run may have made the first alone.
settings.DATABASES.pop("secondary", None)
# Django has not read its settings yet.
settings.DJANGO_CELERY_RESULTS = {"DISABLED_PLUGINS": sorted(OTHERS)}  # type: ignore[attr-defined]  # the tests' own have none
app = make_app(METERED)
app.set_default()
