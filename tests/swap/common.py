"""Code that the scripts share: apps, exceptions, and the description of a result as JSON.

Both releases import this, so it uses only what both have.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.app.task import Context

SERIALIZERS = ("json", "pickle", "yaml", "msgpack")
CHORD_SIZE = 5
CHORD_DONE = 3
CHORD_BODY = "swap.total"
TRACEBACK = 'Traceback (most recent call last):\n  File "tasks.py", line 1, in add\nValueError'


class OutOfPaperError(Exception):
    """An exception that the site defines."""

    def __init__(self, printer: str, tray: int) -> None:
        super().__init__(printer, tray)
        self.printer = printer
        self.tray = tray


def make_app(serializer: str) -> Celery:
    """Return an app that stores its results with ``serializer`` and reads all of them."""
    app = Celery(f"swap-{serializer}", set_as_current=False)
    app.conf.update(
        broker_url="memory://",
        result_backend="django-db",
        result_serializer=serializer,
        result_extended=True,
        accept_content=list(SERIALIZERS),
        result_accept_content=list(SERIALIZERS),
    )
    return app


def make_request(task_id: str, **fields: Any) -> Context:
    """Return the request of a running task, of message protocol 2."""
    values = {
        "id": task_id,
        "task": "swap.add",
        "hostname": "worker@swap",
        "argsrepr": "(1, 'two')",
        "kwargsrepr": "{'three': 3}",
        "args": [1, "two"],
        "kwargs": {"three": 3},
    }
    return Context(values | fields)


def finish(app: Celery, task_id: str, value: Any, **fields: Any) -> None:
    """End the task successfully, as a worker would."""
    app.backend.mark_as_done(task_id, value, request=make_request(task_id, **fields))


def fail(app: Celery, task_id: str, error: Exception, **fields: Any) -> None:
    """End the task with an exception, as a worker would."""
    request = make_request(task_id, **fields)
    app.backend.mark_as_failure(task_id, error, traceback=TRACEBACK, request=request)


def chord_fields(app: Celery, group_id: str, index: int) -> dict[str, Any]:
    """Return the additional request fields of a task in a chord's header."""
    body = app.signature(CHORD_BODY, options={"task_id": f"{group_id}-body"})
    return {"group": group_id, "group_index": index, "chord": dict(body), "chord_size": None}


def describe(value: Any) -> Any:
    """Return a description of ``value`` and its type that JSON can represent."""
    if isinstance(value, BaseException):
        kind = type(value)
        return {"exception": f"{kind.__module__}.{kind.__qualname__}", "args": repr(value.args)}
    return f"{type(value).__name__}: {value!r}"
