"""Celery's private names: they do what the package expects, and results survive without them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, current_task
from celery.backends.base import Backend

from django_celery_results.backends.celery_internals import is_set, meta_cache, warn_if_eager

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend

EAGER = {"task_always_eager": True, "task_store_eager_result": False}


def test_a_backend_warns_of_results_that_are_not_stored(make_backend: MakeBackend) -> None:
    """Celery's own backends give the same warning."""
    with pytest.warns(RuntimeWarning, match="task_always_eager"):
        warn_if_eager(make_backend(**EAGER))


@pytest.mark.django_db
def test_results_are_read_without_the_warning(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the warning depends on Celery's private method."""
    monkeypatch.delattr(Backend, "_ensure_not_eager")
    backend = make_backend(**EAGER)
    backend.mark_as_done("t1", 1)
    assert [1] == [meta["result"] for _, meta in backend.get_many(["t1"], timeout=5)]


@pytest.mark.django_db
def test_metas_that_were_read_are_kept_in_celerys_cache(make_backend: MakeBackend) -> None:
    """A second read finds them there, if the settings ask for a cache."""
    backend = make_backend(result_cache_max=10)
    backend.mark_as_done("t1", 1)
    [(task_id, _)] = backend.get_many(["t1"], timeout=5)
    assert backend.is_cached(task_id)
    assert 1 == meta_cache(backend)["t1"]["result"]


@pytest.mark.django_db
def test_results_are_read_without_a_cache(make_backend: MakeBackend) -> None:
    """Each read asks the storage."""
    backend: Any = make_backend()
    backend.mark_as_done("t1", 1)
    del backend._cache
    for _ in range(2):
        assert [1] == [meta["result"] for _, meta in backend.get_many(["t1"], timeout=5)]


@pytest.mark.parametrize(
    ("namespace", "settings", "expected"),
    [
        (None, {}, False),
        (None, {"result_expires": 86400}, True),
        (None, {"CELERY_RESULT_EXPIRES": 5}, True),
        ("CELERY", {"CELERY_RESULT_EXPIRES": 5}, True),
        ("results", {"results_result_expires": 5}, True),
        ("CELERY", {"CELERY_RESULT_SERIALIZER": "json"}, False),
    ],
)
def test_a_setting_of_the_site_is_told_from_a_default(
    namespace: str | None, settings: dict[str, Any], expected: bool
) -> None:
    """The site may use any of the names that Celery accepts."""
    app = Celery(set_as_current=False)
    app.config_from_object(settings, namespace=namespace)
    str(app.conf.result_backend)  # Loads the settings, as making a backend does.
    assert expected == is_set(app.conf, "result_expires")


@pytest.mark.parametrize("given", [True, False])
def test_celery_is_asked_where_the_mappings_of_settings_are_not_there(given: bool) -> None:
    """``value_set_for`` is Celery's documented method."""
    conf = SimpleNamespace(value_set_for=lambda name: given and name == "result_expires")
    assert given == is_set(conf, "result_expires")


def test_there_is_no_current_task_outside_of_tasks() -> None:
    """The backend reads the request of the current task by ``getattr``."""
    assert getattr(current_task, "request", None) is None
