"""The pytest plugin with the kit's fixtures.

One line in the root ``conftest.py`` loads them::

    pytest_plugins = ["django_celery_results.testing.fixtures"]

The module is not registered as a pytest entry point: pytest would then load it in every
project that has this package installed, even if the project tests no plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import pytest
from celery import Celery
from django.core.cache import caches
from django.test import override_settings

from .recording import RecordingPlugin
from .registering import new_manager, registered_plugins

if TYPE_CHECKING:
    import pluggy

    from ..backends import CacheBackend, DatabaseBackend

__all__ = ["MakeBackend", "Register"]


class Register(Protocol):
    """The type of the fixture ``registered``."""

    def __call__(self, *plugins: object, **options: Any) -> pluggy.PluginManager:
        """Register the plugins for the rest of the test; return the plugin manager."""


class MakeBackend(Protocol):
    """The type of the fixture ``make_backend``."""

    def __call__(self, url: str = "django-db", /, **conf: Any) -> Any:
        """Return the result backend for ``url``, with Celery's settings in ``conf``."""


@pytest.fixture
def plugin_manager() -> pluggy.PluginManager:
    """A plugin manager that has the hook specifications but no plugins."""
    return new_manager()


@pytest.fixture
def registered() -> Iterator[Register]:
    """Registers plugins until the test ends: see :func:`.registered_plugins`.

    Each further call replaces the plugins of the previous call.
    """
    with ExitStack() as stack:

        def register(*plugins: object, **options: Any) -> pluggy.PluginManager:
            return stack.enter_context(registered_plugins(*plugins, **options))

        yield register


@pytest.fixture
def recording_plugin() -> RecordingPlugin:
    """A plugin that records each call of each hook; register it like the plugin under test."""
    return RecordingPlugin()


@pytest.fixture
def make_backend() -> MakeBackend:
    """Makes result backends, each for a new Celery app that is not set as the current app.

    Register plugins first: a backend does not see plugins that are registered later.
    """

    def make(url: str = "django-db", /, **conf: Any) -> Any:
        app = Celery("tests", set_as_current=False)
        app.conf.update(result_backend=url, broker_url="memory://", **conf)
        return app.backend

    return make


# Requests pytest-django's ``db`` by name, so only tests that use this fixture need a database.
@pytest.fixture
def database_backend(db: None, make_backend: MakeBackend) -> DatabaseBackend:  # noqa: ARG001 - makes the database accessible
    """A result backend on the test database."""
    backend: DatabaseBackend = make_backend("django-db")
    return backend


@pytest.fixture
def cache_backend(own_cache_keys: Callable[[str], str], make_backend: MakeBackend) -> CacheBackend:
    """A result backend on the cache ``default``, with its own key prefix."""
    own_cache_keys("default")
    backend: CacheBackend = make_backend("django-cache")
    return backend


@pytest.fixture
def own_cache_keys() -> Iterator[Callable[[str], str]]:
    """Makes a cache appear empty for the rest of the test, by giving it a new ``KEY_PREFIX``.

    Call it with the cache's alias; it returns the prefix. It clears nothing, because other
    programs may be using the same server.
    """
    with ExitStack() as stack:

        def isolate(alias: str) -> str:
            prefix = uuid4().hex
            own = {**caches.settings[alias], "KEY_PREFIX": prefix}
            stack.enter_context(override_settings(CACHES={**caches.settings, alias: own}))
            return prefix

        yield isolate
