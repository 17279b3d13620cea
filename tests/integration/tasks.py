"""The tasks that the workers of the integration tests run."""

from __future__ import annotations

import os
import signal
import time
from functools import cached_property
from typing import Any

from celery import Task, chain, chord, group, shared_task
from celery.app.backends import by_url
from celery.exceptions import Ignore
from celery.result import AsyncResult, GroupResult
from django.db import transaction

from tests.integration import notes
from tests.integration.combinations import SERIALIZERS
from tests.integration.values import EXCEPTIONS, VALUES

# -- Plain ---------------------------------------------------------------------------


@shared_task
def add(x: int, y: int) -> int:
    """Return the sum."""
    return x + y


@shared_task
def echo(value: Any) -> Any:
    """Return the argument."""
    return value


@shared_task
def total(numbers: list[int]) -> int:
    """Return the sum of a list."""
    return sum(numbers)


@shared_task
def both(first: Any, second: Any) -> list[Any]:
    """Return both arguments."""
    return [first, second]


@shared_task
def value_of(name: str) -> Any:
    """Return one of the values by its name, so that the value is not sent in a message."""
    return VALUES[name]


class SerializedTask(Task):  # type: ignore[type-arg]  # generic in the stubs alone
    """A task that stores its results with its own serializer."""

    abstract = True

    @cached_property
    def backend(self) -> Any:
        """The app's result backend, with the serializer named at the end of the task's name."""
        storage, _, alias = self.app.conf.result_backend.partition("://")
        serializer = self.name.rpartition(".")[2]
        # The stubs omit the URL, the second item of the returned tuple.
        found: Any = by_url(f"{storage}://{alias}?serializer={serializer}")
        return found[0](app=self.app, url=found[1])


def value_of_by(serializer: str) -> Any:
    """Return a task that does what ``value_of`` does, with this serializer."""

    def value_of(name: str) -> Any:
        return VALUES[name]

    name = f"{__name__}.value_of.{serializer}"
    return shared_task(base=SerializedTask, name=name)(value_of)


VALUE_TASKS = {serializer: value_of_by(serializer) for serializer in SERIALIZERS}


@shared_task
def unserializable() -> object:
    """Return a value that no serializer accepts."""
    return lambda: None


@shared_task
def fail(name: str = "builtin") -> None:
    """Raise one of the exceptions."""
    raise EXCEPTIONS[name]


@shared_task
def fail_with(*_arguments: Any) -> None:
    """Raise an exception, whatever the arguments."""
    raise EXCEPTIONS["builtin"]


@shared_task(bind=True)
def fail_by_hand(self: Any, meta: Any) -> None:
    """Store a failure that is no exception, as many sites do."""
    self.update_state(state="FAILURE", meta=meta)
    raise Ignore


@shared_task
def send_and_give(count: int) -> Any:
    """Return the result object of another task, or of a group if there are several."""
    if count == 1:
        return AsyncResult("sent", parent=AsyncResult("its parent"))
    return GroupResult("sent", [AsyncResult(f"sent {number}") for number in range(count)])


@shared_task
def nap(seconds: float, value: Any = None) -> Any:
    """Return the value after ``seconds``."""
    time.sleep(seconds)
    return value


@shared_task
def note(key: str, line: str = "ran") -> str:
    """Leave a note and return it."""
    notes.write(key, line)
    return line


@shared_task
def note_value(value: Any, *, key: str) -> Any:
    """Leave a note of the value and return the value."""
    notes.write(key, repr(value))
    return value


@shared_task
def send_chord(key: str, size: int) -> str:
    """Send a chord whose body leaves a note of the header's values; return the body's id."""
    body = note_value.s(key=key)
    return str(chord([echo.s(number) for number in range(size)], body).apply_async().id)


@shared_task
def send_chord_in_transaction(key: str, fails: bool) -> str:
    """Do the same in a transaction that stays open while the header's tasks end."""
    with transaction.atomic():
        sent = send_chord(key, 2)
        # On SQLite, the tasks cannot store their results before the transaction ends.
        time.sleep(1)
        if fails:
            raise EXCEPTIONS["builtin"]
    return str(sent)


@shared_task(bind=True)
@transaction.atomic
def become_a_chord_in_transaction(self: Any) -> Any:
    """Replace the task by a chord, for which Celery raises an exception out of the transaction."""
    return self.replace(chord([echo.s(1), echo.s(2)], both_values.s()))


@shared_task
def both_values(values: list[Any]) -> list[Any]:
    """Return the values."""
    return [*values, "body"]


# -- States --------------------------------------------------------------------------


@shared_task(track_started=True)
def started(key: str) -> str:
    """Leave a note that it runs, and wait until the test tells it to end."""
    notes.write(key, "started")
    notes.wait_for(f"{key}-end")
    return "ended"


@shared_task(bind=True)
def progress(self: Any, key: str) -> str:
    """Report a custom state, and wait until the test tells it to end."""
    self.update_state(state="PROGRESS", meta={"done": 3, "of": 7})
    notes.write(key, "reported")
    notes.wait_for(f"{key}-end")
    return "ended"


@shared_task(bind=True)
def reports(self: Any, key: str) -> str:
    """Report progress three times, and wait after each until the test has seen it."""
    for number, state in enumerate(("PENDING", "PENDING", None), start=1):
        self.update_state(state=state, meta={"done": number})
        notes.write(key, f"reported {number}")
        notes.wait_for(f"{key}-{number}")
    return "ended"


@shared_task(bind=True)
def with_meta(self: Any, fails: bool = False) -> str:
    """Add entries to the meta of its result."""
    self.request.meta = {"step": 3, "of": ["seven"]}
    if fails:
        raise EXCEPTIONS["builtin"]
    return "done"


@shared_task(bind=True)
def flaky(self: Any, failures: int) -> int:
    """Fail ``failures`` times, then return how many times it was retried."""
    if self.request.retries < failures:
        # Celery sends the next try before it stores RETRY for this one. Without a pause the last
        # try could fail first and RETRY would replace FAILURE, with Celery's own backends too.
        raise self.retry(exc=ValueError("not yet"), countdown=0.3, max_retries=2)
    return int(self.request.retries)


@shared_task(bind=True)
def retry_later(self: Any) -> None:
    """Ask for a retry that comes long after the test."""
    raise self.retry(exc=ValueError("later"), countdown=3600)


@shared_task(ignore_result=True)
def ignored(key: str) -> str:
    """Leave a note; the result is not stored."""
    notes.write(key, "ran")
    return "nobody asks"


@shared_task(ignore_result=True)
def ignored_add(x: int, y: int) -> int:
    """Return the sum, which only a chord receives."""
    return x + y


@shared_task
def ignore_me() -> None:
    """Raise `Ignore`, which leaves the task's state as it is."""
    raise Ignore


# -- Children, replacement -----------------------------------------------------------


@shared_task
def parent(count: int) -> str:
    """Send ``count`` children."""
    for number in range(count):
        add.delay(number, number)
    return "parent"


CANVASES: dict[str, Any] = {
    "task": lambda: add.s(1, 2),
    "chain": lambda: chain(add.s(1, 2), add.s(3)),
    "group": lambda: group(add.s(1, 2), add.s(3, 4)),
    "chord": lambda: chord([add.s(1, 2), add.s(3, 4)], total.s()),
    "chain of group": lambda: chain(add.s(1, 2), group(add.s(3), add.s(4))),
    "failure": fail.s,
    "failed chord": lambda: chord([fail.s(), add.s(1, 2)], total.s()),
}


@shared_task(bind=True)
def become(self: Any, name: str) -> Any:
    """Replace itself with another canvas."""
    return self.replace(CANVASES[name]())


CANVASES["replacement"] = lambda: become.s("chord")


@shared_task(bind=True)
def become_ignoring(self: Any, _value: Any, name: str) -> Any:
    """Replace itself with another canvas, and ignore the previous result."""
    return self.replace(CANVASES[name]())


@shared_task(bind=True)
def add_to_chord(self: Any, name: str) -> int:
    """Add another canvas to its own chord, and return 1."""
    self.add_to_chord(CANVASES[name]())
    return 1


def send_again_once(task: Any, key: str) -> None:
    """Send the same message again, the first time that it is delivered."""
    if notes.read(key):
        notes.write(key, "again")
        return
    notes.write(key, "first")
    again = task.signature_from_request(task.request)
    again.apply_async(retries=0, add_to_parent=False)


@shared_task(bind=True)
def delivered_twice(self: Any, value: Any, *, key: str) -> Any:
    """Return the value; the message is delivered twice."""
    send_again_once(self, key)
    return value


@shared_task(bind=True)
def fails_twice(self: Any, key: str) -> None:
    """Fail; the message is delivered twice."""
    send_again_once(self, key)
    raise EXCEPTIONS["builtin"]


@shared_task(bind=True, acks_late=True, reject_on_worker_lost=True)
def die_once(self: Any, key: str, whole_worker: bool = False) -> str:
    """Kill its process or its worker the first time; return the task's id after that."""
    notes.write(key, "started")
    if len(notes.read(key)) == 1:
        if whole_worker:
            os.killpg(os.getpgid(0), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return str(self.request.id)


@shared_task(acks_late=True, reject_on_worker_lost=True)
def echo_late(value: Any) -> Any:
    """Return the value; run again if the process dies."""
    return value


# -- Stamps --------------------------------------------------------------------------


@shared_task(bind=True)
def note_stamps(self: Any, key: str) -> list[str]:
    """Note the stamps of its message and return their names."""
    stamps = self.request.stamps or {}
    notes.write(key, repr(sorted(stamps.items())))
    return sorted(stamps)


@shared_task(bind=True)
def become_stamped(self: Any, key: str) -> Any:
    """Replace itself with a task that notes its stamps."""
    return self.replace(note_stamps.si(key))


# -- Errbacks ------------------------------------------------------------------------


@shared_task
def old_errback(task_id: str, *, key: str) -> None:
    """Note the failed task's id, all that Celery passes to an errback of one argument."""
    notes.write(key, task_id)


@shared_task
def new_errback(request: Any, error: Exception, _traceback: Any, key: str) -> None:
    """Note the failed task's id and its error."""
    notes.write(key, f"{request.id} {type(error).__name__} {error}")
