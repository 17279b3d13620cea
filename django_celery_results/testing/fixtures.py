"""A pytest plugin: the fixtures.

One line in the ``conftest.py`` of the root brings them::

    pytest_plugins = ["django_celery_results.testing.fixtures"]

It is no entry point of pytest's: then every run of every site that has this package
installed would load it, whether it tests plugins or not.
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
    """What the fixture ``registered`` gives."""

    def __call__(self, *plugins: object, **options: Any) -> pluggy.PluginManager:
        """Register the plugins for the rest of the test; return the plugin manager."""


class MakeBackend(Protocol):
    """What the fixture ``make_backend`` gives."""

    def __call__(self, url: str = "django-db", /, **conf: Any) -> Any:
        """Return the result backend of ``url``, with Celery's settings in ``conf``."""


@pytest.fixture
def plugin_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the specifications of the hooks and no plugin."""
    return new_manager()


@pytest.fixture
def registered() -> Iterator[Register]:
    """Registers plugins until the test ends: see :func:`.registered_plugins`.

    Called again it begins anew: the plugins of the call before are there no more.
    """
    with ExitStack() as stack:

        def register(*plugins: object, **options: Any) -> pluggy.PluginManager:
            return stack.enter_context(registered_plugins(*plugins, **options))

        yield register


@pytest.fixture
def recording_plugin() -> RecordingPlugin:
    """A plugin that notes each call of each hook; register it like the plugin to be tested."""
    return RecordingPlugin()


@pytest.fixture
def make_backend() -> MakeBackend:
    """Makes result backends, each of a Celery app of its own, which is nobody's current one.

    One that is made before plugins are registered does not have them.
    """

    def make(url: str = "django-db", /, **conf: Any) -> Any:
        app = Celery("tests", set_as_current=False)
        app.conf.update(result_backend=url, broker_url="memory://", **conf)
        return app.backend

    return make


# That of pytest-django, by its name: what is not used needs no database.
@pytest.fixture
def database_backend(db: None, make_backend: MakeBackend) -> DatabaseBackend:  # noqa: ARG001 - makes the database accessible
    """A result backend on the test database."""
    backend: DatabaseBackend = make_backend("django-db")
    return backend


@pytest.fixture
def cache_backend(own_cache_keys: Callable[[str], str], make_backend: MakeBackend) -> CacheBackend:
    """A result backend on the cache ``default``, with keys that nobody else uses."""
    own_cache_keys("default")
    backend: CacheBackend = make_backend("django-cache")
    return backend


@pytest.fixture
def own_cache_keys() -> Iterator[Callable[[str], str]]:
    """Lets a cache have nothing in it for the rest of the test, by a new ``KEY_PREFIX``.

    Called with the cache's alias; gives the prefix. Nothing is cleared: others may be using
    the same server.
    """
    with ExitStack() as stack:

        def isolate(alias: str) -> str:
            prefix = uuid4().hex
            own = {**caches.settings[alias], "KEY_PREFIX": prefix}
            stack.enter_context(override_settings(CACHES={**caches.settings, alias: own}))
            return prefix

        yield isolate
