"""Fixtures that the backends' tests share in addition to the kit's: chords and caches."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery.app.task import Context
from django.core.cache import caches

from tests import settings

from .common import Chord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.testing.fixtures import MakeBackend

__all__ = ["delete_keys", "request_of"]


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend with Celery's usual settings."""
    return make_backend()


@pytest.fixture(params=["django-db", "django-cache"])
def chord(make_backend: MakeBackend, request: pytest.FixtureRequest) -> Chord:
    """A chord in the database, and one in the cache."""
    caches["default"].clear()
    conf = {
        "task_always_eager": True,
        "task_store_eager_result": True,
        "result_chord_join_timeout": 0.05,
    }
    return Chord(make_backend(request.param, **conf))


CACHE_SERVICES = ("redis", "memcached")
#: Settings with which rows hold pickles.
PICKLE = {"result_serializer": "pickle", "result_accept_content": ["json", "pickle"]}


def _aliases(database: pytest.MarkDecorator, *others: str) -> list[Any]:
    services = [pytest.param(alias, marks=pytest.mark.service(alias)) for alias in CACHE_SERVICES]
    return [*others, *services, pytest.param("database", marks=database)]


def _emptied(alias: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if alias in CACHE_SERVICES:
        # Their clear() empties the whole server, which other runs may be using.
        prefix = f"{settings.RUN_NAME}-{uuid4().hex}"
        monkeypatch.setattr(caches[alias], "key_prefix", prefix)
        monkeypatch.setenv("RESULTS_CACHE_PREFIX", prefix)
        yield alias
        if alias == "redis":  # Memcached cannot list its keys, and evicts old ones by itself.
            delete_keys(prefix)
        return
    caches[alias].clear()
    yield alias
    caches[alias].clear()


_MARKED: dict[str, Any] = {
    "default": (),
    **{alias: pytest.mark.service(alias) for alias in CACHE_SERVICES},
    "database": pytest.mark.django_db,
}


def _ways() -> list[Any]:
    """Return rows of each kind, and each cache with Python objects and with text in it."""
    caching = [
        pytest.param((f"django-cache://{alias}{options}", alias, {}), marks=marks)
        for options in ("", "?serializer=json")
        for alias, marks in _MARKED.items()
    ]
    rows = [("django-db", None, {}), ("django-db", None, PICKLE)]
    return [*(pytest.param(one, marks=pytest.mark.django_db) for one in rows), *caching]


@pytest.fixture(params=_ways(), ids=lambda way: way[0] + ("-pickle" if way[2] else ""))
def make_stored(
    request: pytest.FixtureRequest, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Makes backends, with the given settings, that store in one of the ways to store results."""
    url, alias, conf = request.param
    with contextmanager(_emptied)(alias, monkeypatch) if alias else nullcontext():
        yield lambda **others: make_backend(url, **conf, **others)


def delete_keys(prefix: str) -> None:
    """Delete every key with ``prefix`` in it from Redis."""
    import redis

    with redis.Redis.from_url(settings.REDIS_URL) as server:
        for key in server.scan_iter(f"*{prefix}*"):
            server.delete(key)


@pytest.fixture(params=_aliases(pytest.mark.django_db, "default"))
def results_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each cache alias in turn, with nothing in it."""
    yield from _emptied(request.param, monkeypatch)


@pytest.fixture(params=_aliases(pytest.mark.django_db(transaction=True)))
def shared_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each cache that several processes share, with nothing in it."""
    yield from _emptied(request.param, monkeypatch)


@pytest.fixture(params=_aliases(pytest.mark.django_db, "database rows", "default"))
def any_backend(
    make_backend: MakeBackend, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A backend on the database, and one on each cache; Celery's own cache of metas is on."""
    if request.param == "database rows":
        yield make_backend("django-db", result_cache_max=100)
        return
    for alias in _emptied(request.param, monkeypatch):
        yield make_backend(f"django-cache://{alias}", result_cache_max=100)


def request_of(task_id: str = "t1", **attributes: Any) -> Context:
    """Return the request of a running task."""
    return Context({"id": task_id, **attributes})
