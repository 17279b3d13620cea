"""Run the same function simultaneously in several threads or several processes."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import django
from celery import Celery
from django.apps import apps
from django.core.cache import caches
from django.db import connections
from django.test import override_settings

from .registering import registered_plugins

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

__all__ = ["Processes", "Site", "Threads", "Workers"]

#: Seconds to wait for the other workers: processes start slowly on a busy machine.
PATIENCE = 100


@dataclass(frozen=True)
class Site:
    """The settings that a process needs to use a test's storage."""

    #: The plugin in a form that can be pickled; a module is given by its name.
    plugin: Any
    options: Mapping[str, Any]
    url: str
    caches: Mapping[str, Any]
    #: The name of each database, by alias.
    databases: Mapping[str, Any]

    @classmethod
    def here(cls, plugin: Any, options: Mapping[str, Any], url: str) -> Site:
        """Return the site of the running test."""
        return cls(
            plugin=plugin.__name__ if isinstance(plugin, ModuleType) else plugin,
            options=options,
            url=url,
            caches=dict(caches.settings),
            databases={one.alias: one.settings_dict["NAME"] for one in connections.all()},
        )

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Register the plugin and yield the result backend, in this or another process."""
        for alias, name in self.databases.items():
            connections[alias].settings_dict["NAME"] = name
        with (
            override_settings(CACHES=self.caches),
            registered_plugins(self.plugin, **self.options),
        ):
            yield self.backend()

    def backend(self) -> Any:
        """Return a new result backend. The plugin must be registered already."""
        app = Celery("tests", set_as_current=False)
        app.conf.update(result_backend=self.url)
        return app.backend


class Workers(Protocol):
    """Several threads or processes that run the same function simultaneously."""

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Run ``function(backend, number)`` in each worker; return the list of results."""


class Threads:
    """Workers that are threads of this process."""

    def __init__(self, site: Site, count: int) -> None:
        self.site = site
        self.count = count
        self.barrier = threading.Barrier(count)
        self.pool = ThreadPoolExecutor(count)

    def close(self) -> None:
        """Wait for the threads to end."""
        self.pool.shutdown()

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Run ``function(backend, number)`` in each thread; return the list of results."""

        def run(number: int) -> Any:
            backend = self.site.backend()
            self.barrier.wait(PATIENCE)
            try:
                return function(backend, number)
            finally:
                connections.close_all()
                caches.close_all()

        return list(self.pool.map(run, range(self.count)))


class Processes:
    """Workers that are new processes; each must be able to import the function it calls."""

    def __init__(self, site: Site, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("spawn")
        entering = (context.Barrier(count), site)
        self.pool = ProcessPoolExecutor(count, context, _enter, entering)

    def close(self) -> None:
        """Wait for the processes to end."""
        self.pool.shutdown(cancel_futures=True)

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Run ``function(backend, number)`` in each process; return the list of results."""
        calls = [self.pool.submit(_run, function, number) for number in range(self.count)]
        return [call.result(PATIENCE) for call in calls]


class _Process:
    """The state that a worker process keeps for its lifetime."""

    barrier: Barrier
    backend: Any
    stack = ExitStack()


def _enter(barrier: Barrier, site: Site) -> None:  # pragma: no cover - runs in another process
    if not apps.ready:
        django.setup()
    _Process.barrier = barrier
    _Process.backend = _Process.stack.enter_context(site.opened())


def _run(function: Callable[..., Any], number: int) -> Any:  # pragma: no cover - as above
    # Each worker waits here until all have started, so no worker takes a second call early.
    _Process.barrier.wait(PATIENCE)
    return function(_Process.backend, number)
