"""What the hooks cost a store: through the plugin manager, less the same called directly.

Run in the environment of this checkout; prints microseconds as JSON.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from django.conf import settings

from django_celery_results import hookimpl
from django_celery_results.backends.translation import stored_task, values_of
from django_celery_results.codec import plugin as codec
from django_celery_results.hooks import Hooks
from django_celery_results.plugins import forget_plugins
from django_celery_results.records import TaskRecord

REPEATS, ROUNDS = 2000, 15


class Nothing:
    """A storage that keeps nothing, so that only the calls are measured."""

    django_celery_results_name = "nothing"

    @hookimpl
    def open_storage(self) -> object:
        return "here"

    @hookimpl
    def store_task(self) -> bool:
        return True

    @hookimpl
    def load_tasks(self) -> list[object]:
        return []

    @hookimpl
    def forget_task(self) -> bool:
        return False


class Idle:
    """A plugin that is called and does nothing."""

    def __init__(self, number: int) -> None:
        self.django_celery_results_name = f"idle{number}"

    @hookimpl
    def before_store(self) -> None:
        pass

    @hookimpl
    def after_store(self) -> None:
        pass


def set_up(idle: int) -> None:
    """Choose the empty storage and ``idle`` plugins that do nothing."""
    plugins = [Nothing, *(Idle(number) for number in range(idle))]
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": plugins}
    forget_plugins()


def calls() -> tuple[Callable[[], object], Callable[[], object]]:
    """Return one store's hook calls, through the manager and directly."""
    hooks = Hooks("nothing")
    task = TaskRecord(task_id="id", status="SUCCESS", result={"value": 42}, meta={"children": []})
    values = values_of(task, extended=True)
    contents = codec.encode(values=values, serializer="json", codings=[])
    stored = stored_task(task, contents, None, extended=True)

    def through_hooks() -> None:
        hooks.call("before_store", task=task)
        hooks.ask("encode", values=values, serializer="json", codings=[])
        hooks.call("result_retention", task=task)
        hooks.ask("store_task", storage="here", task=stored)
        hooks.observe("after_store", task=task, stored=stored, written=True)

    def directly() -> None:
        codec.encode(values=values, serializer="json", codings=[])

    return through_hooks, directly


def microseconds(function: Callable[[], object]) -> float:
    """Return the median time of one call."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(REPEATS):
            function()
        rounds.append((time.perf_counter() - started) / REPEATS)
    return statistics.median(rounds) * 1e6


def main() -> None:
    """Print the microseconds that the hooks add to one store."""
    settings.configure()
    added = {}
    for idle in (0, 10):
        set_up(idle)
        through_hooks, directly = calls()
        added[str(idle)] = microseconds(through_hooks) - microseconds(directly)
    print(json.dumps(added))


if __name__ == "__main__":
    main()
