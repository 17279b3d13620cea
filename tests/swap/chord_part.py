"""Run by either release: ends one task of a chord's header, and prints the outcome as JSON.

Arguments: the chord's id, the task's index, the state it ends in, and how often the
broker delivers the task.
"""

from __future__ import annotations

import json
import sys
from queue import Empty
from typing import TYPE_CHECKING, Any

from celery import states

from django_celery_results.models import ChordCounter
from tests.swap.common import chord_fields, describe, fail, finish, make_app

if TYPE_CHECKING:
    from celery import Celery


def sent(app: Celery) -> list[dict[str, Any]]:
    """Take the messages from the app's queue and return them."""
    messages: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        while True:
            try:
                message = queue.get_nowait()
            except Empty:
                return messages
            message.ack()
            args, _kwargs, _embed = message.payload
            messages.append({"task": message.headers["task"], "args": args})


def end_part(app: Celery, group_id: str, index: int, state: str) -> None:
    """End the task as a worker would."""
    task_id = f"{group_id}-{index}"
    fields = chord_fields(app, group_id, index)
    if state == states.SUCCESS:
        finish(app, task_id, index * 10, **fields)
    else:
        fail(app, task_id, ValueError("doomed"), **fields)


def main(group_id: str, index: str, state: str, deliveries: str) -> None:
    """End the task, and print the sent messages and the state of the chord."""
    app = make_app("json")
    for _delivery in range(int(deliveries)):
        end_part(app, group_id, int(index), state)
    body = app.AsyncResult(f"{group_id}-body")
    counter = ChordCounter.objects.filter(group_id=group_id).first()
    seen = {
        "sent": sent(app),
        "left": counter and counter.count,
        "body": [body.state, describe(body.result)],
    }
    sys.stdout.write(json.dumps(seen) + "\n")


main(*sys.argv[1:])
