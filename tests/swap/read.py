"""Run by both releases: prints what Celery reads from every stored result, as JSON.

With the argument ``own``, each row is read through an app with the serializer that wrote
it, as 2.6.0 needs; any other argument is the one serializer for reading all rows.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django_celery_results.models import GroupResult, TaskResult
from tests.swap.common import SERIALIZERS, describe, make_app

if TYPE_CHECKING:
    from celery import Celery

ATTRIBUTES = (
    "state",
    "result",
    "traceback",
    "name",
    "args",
    "kwargs",
    "worker",
    "date_done",
    "children",
)


def read_task(app: Celery, task_id: str) -> dict[str, Any]:
    """Return the meta and the attributes of one task."""
    result = app.AsyncResult(task_id)
    seen = {f".{name}": describe(getattr(result, name)) for name in ATTRIBUTES}
    meta = app.backend.get_task_meta(task_id)
    return seen | {name: describe(value) for name, value in meta.items()}


def read_group(app: Celery, group_id: str) -> Any:
    """Return the ids in a group, nested like the group."""
    group = app.GroupResult.restore(group_id)
    return group and group.as_tuple()


def main(mode: str) -> None:
    """Read everything."""
    apps = {name: make_app(name if mode == "own" else mode) for name in SERIALIZERS}

    def app_of(stored_id: str) -> Celery:
        name = stored_id.partition("-")[0]
        return apps[name] if name in apps else apps["json"]

    tasks = TaskResult.objects.order_by("task_id").values_list("task_id", flat=True)
    groups = GroupResult.objects.order_by("group_id").values_list("group_id", flat=True)
    seen = {
        "tasks": {task_id: read_task(app_of(task_id), task_id) for task_id in tasks},
        "groups": {group_id: read_group(app_of(group_id), group_id) for group_id in groups},
    }
    sys.stdout.write(json.dumps(seen) + "\n")


main(sys.argv[1])
