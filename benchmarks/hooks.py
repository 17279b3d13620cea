"""Measures what the hooks add to a store, compared with direct calls of the same functions.

Prints, as JSON, the microseconds that the hooks add without and with ten idle plugins. The
storage keeps nothing, so that only the path to it is measured.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

import django
from celery import Celery
from celery.app.task import Context
from django.conf import settings

from django_celery_results import hookimpl
from django_celery_results.codec.plugin import plugin as codec
from django_celery_results.registry.loading import forget_plugins

from . import sample

REPEATS, ROUNDS = 300, 41


class Nothing:
    """A storage that keeps nothing."""

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
    """A plugin whose hooks do nothing."""

    def __init__(self, number: int) -> None:
        self.django_celery_results_name = f"idle{number}"

    @hookimpl
    def before_store(self) -> None:
        pass

    @hookimpl
    def after_store(self) -> None:
        pass


class Direct:
    """Replaces the backend's hooks: calls only the two built-in functions that answer."""

    def __init__(self, hooks: Any) -> None:
        self._hooks = hooks
        #: Whether a store came through here.
        self.used = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hooks, name)

    def call(self, hook: str, **arguments: Any) -> Any:
        return codec.encode(**arguments) if hook == "encode" else None

    def ask(self, hook: str, **arguments: Any) -> Any:
        self.used = True
        return codec.encode(**arguments) if hook == "encode" else True

    def observe(self, hook: str, **arguments: Any) -> None:
        pass


def backend_with(idle: int) -> Any:
    """Return a backend on the storage that keeps nothing, with ``idle`` plugins that do nothing."""
    plugins = [Nothing, *(Idle(number) for number in range(idle))]
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": plugins}
    forget_plugins()
    app = Celery("hooks", broker="memory://", backend="django-results+nothing://")
    app.conf.update(result_extended=True)
    return app.backend


def seconds(backend: Any, request: Any) -> float:
    """Return the seconds that one store takes."""
    started = time.perf_counter()
    for _ in range(REPEATS):
        backend.store_result("id", sample.RESULT, "SUCCESS", request=request)
    return (time.perf_counter() - started) / REPEATS


def added(idle: int) -> float:
    """Return the microseconds that the hooks add to a store: the median of rounds."""
    through, directly = backend_with(idle), backend_with(idle)
    directly.results.hooks = direct = Direct(directly.hooks)
    request = Context(
        {
            "task": sample.NAME,
            "hostname": sample.WORKER,
            "argsrepr": sample.ARGS,
            "kwargsrepr": sample.KWARGS,
            "delivery_info": {},
        }
    )
    rounds = [seconds(through, request) - seconds(directly, request) for _ in range(ROUNDS)]
    if not direct.used:
        raise RuntimeError("The stores that were to call the functions directly did not.")
    return statistics.median(rounds) * 1e6


def main() -> None:
    """Print the time that the hooks add."""
    django.setup()
    print(json.dumps({f"idle_{idle}": added(idle) for idle in (0, 10)}))


if __name__ == "__main__":
    main()
