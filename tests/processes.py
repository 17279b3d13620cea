"""Functions that tests run in several processes at once.

They have their own module because a spawned process imports it before Django is set up, and
this module sets up Django first.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import traceback
from typing import TYPE_CHECKING, Any

import django
from django.apps import apps

if not apps.ready:
    django.setup()

from celery import Celery, states
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.db.models.signals import pre_save

from django_celery_results import hookimpl
from django_celery_results.records import ChordPart
from django_celery_results.testing.storage_suite import task_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier

    from django_celery_results.records import ExpiryBatch, StoredTask, TaskRecord

STATES = (states.STARTED, "PROGRESS", states.RETRY, states.FAILURE, states.SUCCESS)
#: Seconds to wait for the other processes: on a busy machine, sixteen start slowly.
PATIENCE = 120


def at_once(count: int, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call ``function(number, *arguments)`` in ``count`` new processes; return all results.

    One new process imports their modules, which takes a second or two, and forks them before it
    opens any connection.
    """
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    parent = context.Process(target=_fork, args=(count, answers, function, arguments))
    parent.start()
    results = [answers.get() for _ in range(count)]
    parent.join(PATIENCE)
    errors = [error for _, error in results if error]
    assert not errors, errors[0]
    return [result for result, _ in results]


def _fork(
    count: int,
    answers: SimpleQueue[tuple[Any, str]],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    processes = [
        context.Process(target=_call, args=(barrier, answers, function, number, arguments))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _call(
    barrier: Barrier,
    answers: SimpleQueue[tuple[Any, str]],
    function: Callable[..., Any],
    number: int,
    arguments: tuple[Any, ...],
) -> None:
    random.seed(number)
    if prefix := os.environ.get("RESULTS_CACHE_PREFIX"):
        for alias in ("redis", "memcached"):
            caches[alias].key_prefix = prefix
    barrier.wait(PATIENCE)
    try:
        answers.put((function(number, *arguments), ""))
    except BaseException:
        answers.put((None, traceback.format_exc()))
        raise


class Winners:
    """A plugin that records the results whose SUCCESS was stored."""

    django_celery_results_name = "winners"

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Record the value, once for each id."""
        if written and stored.status == states.SUCCESS:
            assert task.task_id not in self.results, "written twice"
            self.results[task.task_id] = task.result


def _backend(url: str, **options: Any) -> Any:
    settings.DJANGO_CELERY_RESULTS = options
    app = Celery("child", set_as_current=False)
    app.conf.update(result_backend=url)
    return app.backend


def store_results(number: int, url: str, rounds: int) -> dict[str, Any]:
    """Store each task in every state; return the results whose SUCCESS this process stored."""
    winners = Winners()
    backend = _backend(url, PLUGINS=[winners])
    for one in range(rounds):
        for status in random.sample(STATES, len(STATES)):
            value = ValueError(number) if status == states.FAILURE else number
            backend.store_result(f"t{one}", value, status)
    return winners.results


def store_with_receivers(number: int, url: str, rounds: int) -> dict[str, Any]:
    """Do what :func:`store_results` does while a receiver changes each row before it is saved."""

    def stamp(instance: Any, **_: Any) -> None:
        instance.worker = f"stamped {instance.status}"

    pre_save.connect(stamp, sender=apps.get_model("django_celery_results", "TaskResult"))
    return store_results(number, url, rounds)


def return_parts(_number: int, url: str, group_id: str, task_ids: list[str]) -> int:
    """Return every part of a chord twice; return how often the body was claimed."""
    backend = _backend(url)
    claims = 0
    for task_id in random.sample([*task_ids, *task_ids], 2 * len(task_ids)):
        part = ChordPart(group_id=group_id, task_id=task_id, status=states.SUCCESS)
        progress = backend.hooks.call("chord_part_returned", storage=backend.storage, part=part)
        claims += progress.claimed
    return claims


def return_deliveries(
    number: int, count: int, group_id: str, task_ids: list[str], isolation: str | None, stores: bool
) -> int:
    """Return this process's share of a chord's parts, each of which is delivered twice.

    ``stores``: store the results too, in the same step if possible. Return how often the body
    was claimed. Nothing is retried, because no error may happen.
    """
    if isolation:
        connections["default"].settings_dict["OPTIONS"]["isolation_level"] = isolation
    backend = _backend("django-db")
    # Every process uses one order, so that the two deliveries of a part are close in time.
    deliveries = [task_id for task_id in task_ids for _ in range(2)][number::count]
    claims = 0
    for task_id in deliveries:
        claims += _returns(backend, group_id, task_id, stores)
    return claims


def _returns(backend: Any, group_id: str, task_id: str, stores: bool) -> bool:
    """Return a part; return whether it got the claim."""
    part = ChordPart(group_id=group_id, task_id=task_id, status=states.SUCCESS)
    if stores:
        done = backend.hooks.call(
            "store_part", storage=backend.storage, task=task_of(task_id), part=part
        )
        if done is None:
            backend.hooks.call("store_task", storage=backend.storage, task=task_of(task_id))
        elif done.counted:
            return False
    progress = backend.hooks.call("chord_part_returned", storage=backend.storage, part=part)
    return bool(progress.claimed)


def return_side_by_side(number: int, chords: int, isolation: str | None, stores: bool) -> int:
    """Return one part of each of many chords ``c0``, ``c1``…; return the claims."""
    if isolation:
        connections["default"].settings_dict["OPTIONS"]["isolation_level"] = isolation
    backend = _backend("django-db")
    claims = 0
    for one in range(chords):
        claims += _returns(backend, f"c{one}", f"{one}-{number}", stores)
    return claims


def apply_chord(_number: int, url: str, group_id: str, task_ids: list[str]) -> None:
    """Start a chord."""
    backend = _backend(url)
    members = [backend.app.AsyncResult(task_id) for task_id in task_ids]
    backend.apply_chord((group_id, members), None)


def add_parts(number: int, url: str, group_id: str, count: int) -> None:
    """Add ``count`` parts that only this process has to a chord."""
    backend = _backend(url)
    for one in range(count):
        backend.add_to_chord(group_id, backend.app.AsyncResult(f"{number}-{one}"))


class Heard:
    """A plugin that records what expires."""

    django_celery_results_name = "heard"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.gone: list[str] = []

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Record what is about to be deleted."""
        self.seen += batch.ids

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Record what was deleted."""
        self.gone += batch.ids


def clean_or_write(
    number: int, expires: float, count: int, heard: bool, forbidden: tuple[str, ...]
) -> dict[str, Any]:
    """Clean up in the first two processes, or write to some of the rows in the others.

    ``forbidden``: options of PostgreSQL's planner to switch off. Returns how many rows this process
    deleted, which rows its plugin saw expire, and which rows it wrote.
    """
    if forbidden:
        options = connections["default"].settings_dict["OPTIONS"]
        options["options"] = " ".join(f"-c {name}=off" for name in forbidden)
    noted = Heard()
    deleted, written = 0, []
    backend = _backend("django-db", PLUGINS=[noted] if heard else [])
    if number < 2:
        expiry = backend.expirer.expiry(expires, 20)
        deleted = backend.hooks.call("expire_results", storage=backend.storage, expiry=expiry)
    else:
        for one in random.sample(range(count), 100):
            backend.store_result(f"t{one}", 1, states.SUCCESS)
            written.append(f"t{one}")
    return {"deleted": deleted, "seen": noted.seen, "gone": noted.gone, "written": written}
