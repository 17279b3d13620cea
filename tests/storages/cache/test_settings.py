"""The storage ``django-cache``: expiry and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches

from django_celery_results import hookimpl
from django_celery_results.backends import CacheBackend
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.records import Retention, TaskRecord
from tests.backends.common import pickled

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend, Register


# -- Expiry --------------------------------------------------------------------------


class Keeps:
    """A plugin that keeps each result for as many seconds as its value says."""

    django_celery_results_name = "keeps"

    @hookimpl
    def result_retention(self, task: TaskRecord) -> Retention:
        """Return the value as the retention."""
        return Retention(seconds=task.result)


@pytest.mark.parametrize(("seconds", "there"), [(0, False), (0.5, True), (60, True), (None, True)])
def test_a_retention_is_a_time_out(
    make_backend: MakeBackend,
    registered: Register,
    results_cache: str,
    seconds: float | None,
    there: bool,
) -> None:
    """Zero stores nothing, and half a second is rounded up."""
    registered(Keeps())
    backend = make_backend(f"django-cache://{results_cache}")
    backend.mark_as_started("t1")
    backend.mark_as_done("t1", seconds)
    assert there == backend.task_result_exists("t1")


def test_a_retention_of_zero_does_not_delete_a_success(
    make_backend: MakeBackend, registered: Register, results_cache: str
) -> None:
    """A late state that would expire at once is refused like any other."""
    backend = make_backend(f"django-cache://{results_cache}")
    backend.store_result("t1", 1, states.SUCCESS)
    backend.store_result("t2", 1, states.STARTED)
    registered(Keeps())
    late = make_backend(f"django-cache://{results_cache}")
    for task_id in ("t1", "t2"):
        late.store_result(task_id, 0, states.FAILURE)
    assert [states.SUCCESS, states.PENDING] == [late.get_state(one) for one in ("t1", "t2")]


@pytest.mark.parametrize("expires", [None, 0])
def test_results_need_not_expire(make_backend: MakeBackend, expires: float | None) -> None:
    """None and 0 mean never."""
    assert None is make_backend("django-cache", result_expires=expires).storage.timeout


def test_the_time_out_is_result_expires(make_backend: MakeBackend) -> None:
    """Both are in seconds."""
    assert 60 == make_backend("django-cache", result_expires=60).storage.timeout


# -- Settings ------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "alias"), [(None, "default"), ("redis", "redis")])
def test_the_alias_is_celerys_cache_backend(
    make_backend: MakeBackend, name: str | None, alias: str
) -> None:
    """If the setting is empty, it is the default cache."""
    backend = make_backend("django-cache", cache_backend=name)
    assert alias == backend.storage.alias
    assert caches[alias] is backend.cache_backend


@pytest.mark.parametrize(
    ("url", "conf", "valid"),
    [
        ("django-cache://rediss", {}, "Did you mean 'redis'? Valid: database, default"),
        ("django-cache", {"cache_backend": "rediss"}, "'rediss' in CELERY_CACHE_BACKEND"),
        ("django-cache://?serialiser=json", {}, "Valid: serializer"),
        ("django-cache://redis/path", {}, "not a valid path"),
    ],
)
def test_a_wrong_url_lists_what_is_valid(
    make_backend: MakeBackend, url: str, conf: dict[str, Any], valid: str
) -> None:
    """This holds for the alias, the options and the path."""
    with pytest.raises(BackendMisconfigured) as caught:
        make_backend(url, **conf)
    assert valid in str(caught.value)


@pytest.mark.parametrize("url", ["django-cache", "django-cache://default?serializer=json"])
def test_a_pickled_backend_stores_alike(make_backend: MakeBackend, url: str) -> None:
    """It keeps the serializer and the time-out."""
    backend = make_backend(url, result_expires=77)
    copy = pickled(backend)
    assert isinstance(copy, CacheBackend)
    assert (backend.content_serializer, backend.storage.timeout, backend.serializer) == (
        copy.content_serializer,
        copy.storage.timeout,
        copy.serializer,
    )
