"""Run by either release: stores results and a group and starts a chord, as during an upgrade.

The argument is the start of every id. Prints the encodings of the rows as JSON.
"""

from __future__ import annotations

import json
import sys

from celery import states

from django_celery_results.models import TaskResult
from tests.swap.common import CHORD_BODY, fail, finish, make_app, make_request


def main(prefix: str) -> None:
    """Store the results and print their encodings."""
    app = make_app("json")
    task_id = f"{prefix}-value"
    request = make_request(task_id)
    app.backend.store_result(task_id, {"pid": 1}, states.STARTED, request=request)
    finish(app, task_id, {"sum": 3}, periodic_task_name="every-night")
    fail(app, f"{prefix}-failure", ValueError("broken"))
    app.GroupResult(f"{prefix}-group", [app.AsyncResult(f"{prefix}-value")]).save()
    header = [app.AsyncResult(f"{prefix}-part")]
    app.backend.apply_chord((f"{prefix}-chord", header), app.signature(CHORD_BODY))
    rows = TaskResult.objects.filter(task_id__startswith=f"{prefix}-")
    seen = {row.task_id: row.content_encoding for row in rows}
    sys.stdout.write(json.dumps(seen) + "\n")


main(sys.argv[1])
