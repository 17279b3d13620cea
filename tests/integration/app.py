"""The Celery app of a worker or beat process; RESULTS_COMBINATION says which one."""

from __future__ import annotations

import os

from tests import settings
from tests.integration.combinations import BY_NAME, make_app

# Django's checks of a worker connect to every database; the run may have made the first alone.
settings.DATABASES.pop("secondary", None)

app = make_app(BY_NAME[os.environ["RESULTS_COMBINATION"]])
app.set_default()
