"""Run by 2.6.0: fills the database through its backend and prints the ids as JSON."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from celery import states

from django_celery_results.models import TaskResult
from tests.swap.common import (
    CHORD_BODY,
    CHORD_DONE,
    CHORD_SIZE,
    SERIALIZERS,
    TRACEBACK,
    OutOfPaperError,
    chord_fields,
    fail,
    finish,
    make_app,
    make_request,
)

if TYPE_CHECKING:
    from celery import Celery

VALUES: dict[str, dict[str, Any]] = {
    "json": {
        "when": date(2026, 2, 28),
        "price": Decimal("12.50"),
        "text": 'gr\u00fc\u00dfe \u2603 "quoted" \U0001f600',
    },
    "pickle": {"set": {1, 2}, "tuple": (1, "two"), "age": timedelta(days=3), "bytes": b"\x00\xff"},
    "yaml": {"when": date(2026, 2, 28), "text": "gr\u00fc\u00dfe\nnext line", "none": None},
    "msgpack": {"bytes": b"\x00\xff", "text": "gr\u00fc\u00dfe", "list": [1, 2.5, None]},
}


def fill_states(app: Celery, name: str) -> None:
    """Store a result in every state that a task passes through."""
    backend = app.backend
    task_id = f"{name}-started"
    request = make_request(task_id)
    backend.store_result(task_id, {"pid": 4711}, states.STARTED, request=request)
    task_id = f"{name}-retry"
    error = KeyError("not yet")
    backend.mark_as_retry(task_id, error, traceback=TRACEBACK, request=make_request(task_id))
    task_id = f"{name}-revoked"
    backend.mark_as_revoked(task_id, "by hand", request=make_request(task_id))
    task_id = f"{name}-progress"
    request = make_request(task_id, meta={"percent": 40, "stage": "printing"})
    backend.store_result(task_id, {"done": 4, "of": 10}, "PROGRESS", request=request)
    fail(app, f"{name}-failure-0", ValueError("broken", 7))
    fail(app, f"{name}-failure-1", OutOfPaperError("lp0", 2))


def fill_values(app: Celery, name: str) -> None:
    """Store values of this serializer, with and without the fields of extended results."""
    children = [app.AsyncResult(f"{name}-child")]
    finish(app, f"{name}-value", VALUES[name], periodic_task_name="every-night", _children=children)
    app.backend.mark_as_done(f"{name}-none", None)
    app.backend.mark_as_done(f"{name}-text", "plain")
    finish(app, f"{name}-protocol-1", 3, argsrepr=None, kwargsrepr=None)


def fill_group(app: Celery, name: str) -> None:
    """Save a group that contains another group."""
    tasks = [app.AsyncResult(f"{name}-{part}") for part in ("value", "none")]
    inner = app.GroupResult(f"{name}-inner", [app.AsyncResult(f"{name}-text")])
    inner.save()
    app.GroupResult(f"{name}-group", [*tasks, cast("Any", inner)]).save()


def fill_bare_reprs() -> None:
    """Write a row as releases before 2.0 did: arguments as their bare repr."""
    TaskResult.objects.store_result(
        "application/json",
        "utf-8",
        "json-bare",
        "7",
        states.SUCCESS,
        task_name="swap.add",
        task_args="(1, 'two')",
        task_kwargs="{'three': 3}",
    )


def begin_chord(app: Celery, group_id: str) -> None:
    """Apply a chord and finish three of the five tasks of its header."""
    header = [app.AsyncResult(f"{group_id}-{index}") for index in range(CHORD_SIZE)]
    app.backend.apply_chord((group_id, header), app.signature(CHORD_BODY))
    for index in range(CHORD_DONE):
        finish(app, f"{group_id}-{index}", index * 10, **chord_fields(app, group_id, index))


def main() -> None:
    """Fill the database."""
    for name in SERIALIZERS:
        app = make_app(name)
        fill_values(app, name)
        fill_states(app, name)
        fill_group(app, name)
    fill_bare_reprs()
    json_app = make_app("json")
    for group_id in ("json-chord", "json-doomed", "json-relay"):
        begin_chord(json_app, group_id)
    ids = list(TaskResult.objects.order_by("task_id").values_list("task_id", flat=True))
    sys.stdout.write(json.dumps(ids) + "\n")


main()
