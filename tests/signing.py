"""A plugin whose calls can be seen, and functions that put it into the settings or install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import importlib_metadata
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.registry import discovery
from django_celery_results.registry import loading as plugins
from django_celery_results.registry.loading import get_plugin_manager, load_plugins
from tests.memory import record

#: The module that the entry points of :func:`installed` name.
INSTALLED: dict[str, object] = {}


class Signing:
    """A plugin that adds its name to each task."""

    def __init__(self, name: str = "signing") -> None:
        self.django_celery_results_name = name

    @hookimpl
    def before_store(self, task: Any) -> None:
        """Sign the task."""
        task.worker = f"{task.worker or ''}{self.django_celery_results_name} "


class Distribution(importlib_metadata.Distribution):
    """A distribution that is not really installed; without a name, it lacks metadata."""

    def __init__(self, name: str | None) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        """Return its metadata."""
        if filename != "METADATA" or self._name is None:
            return None
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: 1.0\n"

    def locate_file(self, path: Any) -> Any:
        """Return a path that nothing uses."""
        return Path(path)


class EntryPoint(importlib_metadata.EntryPoint):
    """An entry point whose plugin is an object in this process."""

    def load(self) -> Any:
        """Return the plugin."""
        return INSTALLED[self.name]


@contextmanager
def installed(*wanted: tuple[str | None, str, object]) -> Iterator[None]:
    """Install plugins by distribution and name, next to the built-in ones, in the wrong order."""
    found = list(importlib_metadata.entry_points(group=discovery.ENTRY_POINT_GROUP))
    for distribution, name, plugin in wanted:
        INSTALLED[name] = plugin
        one = EntryPoint(name, f"installed:{name}", discovery.ENTRY_POINT_GROUP)
        vars(one).update(dist=Distribution(distribution))
        found.insert(0, one)
    with mock.patch.object(importlib_metadata, "entry_points", return_value=found):
        plugins.forget_plugins()
        try:
            yield
        finally:
            plugins.forget_plugins()
            INSTALLED.clear()


def names() -> list[str]:
    """The names of the plugins in calling order."""
    return [info.name for info in load_plugins().infos]


def signatures() -> list[str]:
    """The names of the plugins that signed a task, in this order."""
    task = record()
    get_plugin_manager().hook.before_store(task=task)
    return (task.worker or "").split()


def failure(*configured: object) -> str:
    """The reason why the only failed plugin failed."""
    with override_settings(DJANGO_CELERY_RESULTS={"PLUGINS": list(configured)}):
        (failed,) = load_plugins().failures
    return failed.reason
