"""The Celery app of a worker or beat process; RESULTS_COMBINATION says which one."""

from __future__ import annotations

import os

from tests.integration.combinations import BY_NAME, make_app

app = make_app(BY_NAME[os.environ["RESULTS_COMBINATION"]])
app.set_default()
