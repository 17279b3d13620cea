"""The Celery app of a worker or beat process; RESULTS_COMBINATION says which one."""

from __future__ import annotations

import os

from tests import settings
from tests.integration import traffic
from tests.integration.combinations import BY_NAME, COMPARED, make_app

# Django's checks of a worker connect to every database; the run may have made the first alone.
settings.DATABASES.pop("secondary", None)

combination = BY_NAME[os.environ["RESULTS_COMBINATION"]]
if combination.pool_size:
    # What is more than the size waits for one that is given back.
    pool = {"min_size": 1, "max_size": combination.pool_size}
    settings.DATABASES["default"]["OPTIONS"] = {"pool": pool}
if combination in COMPARED:
    traffic.watch(combination.name)
if combination.plugins:
    # Django has not read its settings yet.
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": list(combination.plugins)}  # type: ignore[attr-defined]  # the tests' own have none
app = make_app(combination)
app.set_default()
