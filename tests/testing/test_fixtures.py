"""The kit's fixtures: backends on the test's database and caches, and separate cache keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

from celery import current_app, states
from django.core.cache import caches

from django_celery_results.models import TaskResult
from django_celery_results.registry.loading import hook_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from pluggy import PluginManager

    from django_celery_results.backends import CacheBackend, DatabaseBackend
    from django_celery_results.testing.fixtures import MakeBackend


def test_plugin_manager_is_fresh(plugin_manager: PluginManager) -> None:
    """It has the hook specifications, but not even the built-in plugins."""
    assert plugin_manager.list_name_plugin() == []
    assert all(getattr(plugin_manager.hook, name).has_spec() for name in hook_names())


def test_database_backend_stores_in_the_test_database(database_backend: DatabaseBackend) -> None:
    """The fixture also gives the test access to the database."""
    database_backend.store_result("task", 1, states.SUCCESS)

    assert ["task"] == list(TaskResult.objects.values_list("task_id", flat=True))


def test_cache_backend_has_keys_of_its_own(cache_backend: CacheBackend) -> None:
    """The backend does not see other keys in the cache, in any thread."""
    cache_backend.store_result("task", 1, states.SUCCESS)

    with ThreadPoolExecutor(1) as pool:
        state = pool.submit(cache_backend.get_state, "task").result()
    assert (states.SUCCESS, True) == (state, len(caches["default"].key_prefix) == 32)


def test_cache_has_nothing_in_it_with_own_keys(own_cache_keys: Callable[[str], str]) -> None:
    """Each call starts with an empty cache."""
    first = own_cache_keys("default")
    caches["default"].set("key", 1)
    second = own_cache_keys("default")

    assert (None, True) == (caches["default"].get("key"), first != second)


def test_made_backend_has_its_settings(make_backend: MakeBackend) -> None:
    """It also has its own app."""
    backend = make_backend("django-cache", result_serializer="pickle", result_expires=5)

    assert (5, True) == (backend.expires, backend.app is not current_app)


def test_settings_are_those_of_a_site() -> None:
    """They are enough for the tests of a plugin."""
    settings = import_module("django_celery_results.testing.settings")

    assert ["django_celery_results"] == settings.INSTALLED_APPS
    assert settings.DATABASES["default"]["NAME"] == settings.DATABASES["default"]["TEST"]["NAME"]
