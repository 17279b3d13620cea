"""The Celery app of a worker or beat process; RESULTS_COMBINATION names its combination."""

from __future__ import annotations

import os

from tests import settings
from tests.integration import traffic
from tests.integration.combinations import BY_NAME, COMPARED, make_app

# A worker runs Django's checks, which connect to every database; the run may have made only one.
settings.DATABASES.pop("secondary", None)

combination = BY_NAME[os.environ["RESULTS_COMBINATION"]]
if combination.pool_size:
    # A thread that needs a connection beyond this size waits until one is returned.
    pool = {"min_size": 1, "max_size": combination.pool_size}
    settings.DATABASES["default"]["OPTIONS"] = {"pool": pool}
if combination in COMPARED:
    traffic.watch(combination.name)
if combination.plugins:
    # Django has not read its settings yet.
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": list(combination.plugins)}  # type: ignore[attr-defined]  # the tests' own have none
app = make_app(combination)
app.set_default()
