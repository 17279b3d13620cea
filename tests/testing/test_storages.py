"""The built-in storages, and those of the documentation and of the examples."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pytest

from django_celery_results.testing import StorageConformance
from tests import settings
from tests.backends.conftest import delete_keys

# After each test Django empties only the tables of these apps, and does not recreate the rows of
# the others, which would take longer than most of the tests.
in_database = pytest.mark.django_db(transaction=True, available_apps=["django_celery_results"])


def ids_of_database(ids: Sequence[str]) -> Sequence[str]:
    """Return the ids, without the one that MariaDB's usual collation takes for another."""
    return [one for one in ids if (settings.DATABASE, one) != ("mariadb", "Case")]


@in_database
class TestDatabase(StorageConformance):
    """Django's ORM."""

    ids = ids_of_database(StorageConformance.ids)

    plugin = "django-db"
    url = "django-db"
    stores_parts = True
    bad_urls = ("django-db://nowhere", "django-db://default/path", "django-db://?option=1")


class OneCache(StorageConformance):
    """A Django cache that starts empty."""

    plugin = "django-cache"
    lists_chords = False
    expires_by_itself = True
    # Memcached refuses spaces in keys.
    ids: ClassVar[Sequence[str]] = ("t" * 150, "ä-結果-🎉", "Case", "case")
    alias: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _own_keys(self, own_cache_keys: Callable[[str], str]) -> Iterator[None]:
        prefix = own_cache_keys(self.alias)
        yield
        if self.alias == "redis":
            delete_keys(prefix)


class TestLocalMemory(OneCache):
    """The memory of one process."""

    url = "django-cache://default"
    alias = "default"
    is_shared = False
    bad_urls = ("django-cache://nowhere", "django-cache://default/path")


@pytest.mark.service("redis")
class TestRedis(OneCache):
    """Redis, through Django."""

    url = "django-cache://redis"
    alias = "redis"
    passing = (ConnectionError(),)


@pytest.mark.service("redis")
class TestRedisWithJSON(OneCache):
    """Redis, through Django, with results stored as JSON."""

    url = "django-cache://redis?serializer=json"
    alias = "redis"


@pytest.mark.service("memcached")
class TestMemcached(OneCache):
    """Memcached, through Django."""

    url = "django-cache://memcached"
    alias = "memcached"


@in_database
class TestDatabaseCache(OneCache):
    """A table that Django uses as a cache."""

    ids = ids_of_database(OneCache.ids)
    url = "django-cache://database"
    alias = "database"


class TestNotebook(StorageConformance):
    """The example in the documentation."""

    plugin = "myplugins.notebook"
    url = "django-results+notebook://{directory}/results.sqlite3"
    bad_urls = ("django-results+notebook://", "django-results+notebook:///no/such/place")
    facts = ("name",)
    has_groups = has_chords = has_expiry = False
    passing = (sqlite3.OperationalError("database is locked"),)


class TestSQLiteFile(StorageConformance):
    """The whole storage among the examples, which is one module."""

    plugin = "results_sqlite"
    url = "django-results+sqlite-results://{directory}/results.sqlite3"
    bad_urls = (
        "django-results+sqlite-results://",
        "django-results+sqlite-results:///no/such/place",
        "django-results+sqlite-results:///tmp?option=1",
    )
    passing = (sqlite3.OperationalError("database is locked"),)
