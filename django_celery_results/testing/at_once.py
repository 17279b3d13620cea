"""The same function at the same moment, in several threads or in several processes."""

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

#: Seconds to wait for the others: processes start slowly on a busy machine.
PATIENCE = 100


@dataclass(frozen=True)
class Site:
    """What a process needs to use the storage of a test."""

    #: The plugin, as a process can be told it: never a module.
    plugin: Any
    options: Mapping[str, Any]
    url: str
    caches: Mapping[str, Any]
    #: Name of each database, by its alias.
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
        """Give the result backend, in whichever process."""
        for alias, name in self.databases.items():
            connections[alias].settings_dict["NAME"] = name
        with (
            override_settings(CACHES=self.caches),
            registered_plugins(self.plugin, **self.options),
        ):
            yield self.backend()

    def backend(self) -> Any:
        """Return another result backend, where the plugin is registered."""
        app = Celery("tests", set_as_current=False)
        app.conf.update(result_backend=self.url)
        return app.backend


class Workers(Protocol):
    """Several who do the same at the same moment."""

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Return what ``function(backend, number)`` gives to each of them."""


class Threads:
    """Workers in threads of this process."""

    def __init__(self, site: Site, count: int) -> None:
        self.site = site
        self.count = count
        self.barrier = threading.Barrier(count)
        self.pool = ThreadPoolExecutor(count)

    def close(self) -> None:
        """Wait for them to end."""
        self.pool.shutdown()

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Return what ``function(backend, number)`` gives in each."""

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
    """Workers in new processes, which have to be able to import what they call."""

    def __init__(self, site: Site, count: int) -> None:
        self.count = count
        context = multiprocessing.get_context("spawn")
        entering = (context.Barrier(count), site)
        self.pool = ProcessPoolExecutor(count, context, _enter, entering)

    def close(self) -> None:
        """Wait for them to end."""
        self.pool.shutdown(cancel_futures=True)

    def call(self, function: Callable[..., Any]) -> list[Any]:
        """Return what ``function(backend, number)`` gives in each."""
        calls = [self.pool.submit(_run, function, number) for number in range(self.count)]
        return [call.result(PATIENCE) for call in calls]


class _Process:
    """What a process has for the time of its life."""

    barrier: Barrier
    backend: Any
    stack = ExitStack()


def _enter(barrier: Barrier, site: Site) -> None:  # pragma: no cover - in a process of its own
    if not apps.ready:
        django.setup()
    _Process.barrier = barrier
    _Process.backend = _Process.stack.enter_context(site.opened())


def _run(function: Callable[..., Any], number: int) -> Any:  # pragma: no cover - as above
    # Nobody is free for a second call before all have come for their first.
    _Process.barrier.wait(PATIENCE)
    return function(_Process.backend, number)
