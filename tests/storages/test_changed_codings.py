"""Arguments stay readable when the codings change between two states of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db.models.signals import post_save

from django_celery_results.models import TaskResult
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = pytest.mark.django_db

STORAGES = ["django-db", "django-cache://?serializer=json"]


@pytest.fixture(params=[False, True], ids=["one statement", "in steps"])
def listener(request: pytest.FixtureRequest) -> Iterator[None]:
    """A receiver of ``post_save``, which makes the database write in steps; or none."""

    def hear(**_details: Any) -> None:
        """Do nothing."""

    if request.param:
        post_save.connect(hear, sender=TaskResult)
    yield
    post_save.disconnect(hear, sender=TaskResult)


def stored_arguments(
    make_backend: MakeBackend, settings: Settings, url: str, *codings: str
) -> list[Any]:
    """Return the arguments after STARTED with some and SUCCESS without, under these codings."""
    found = []
    course: list[tuple[str, str, dict[str, Any]]] = [
        (states.STARTED, codings[0], {"args": [1, 2], "kwargs": {"a": 3}}),
        (states.SUCCESS, codings[1], {}),
    ]
    for status, coding, facts in course:
        settings.DJANGO_CELERY_RESULTS = {"CODINGS": [coding] if coding else []}
        backend = make_backend(url, result_extended=True)
        backend.store_result("t1", None, status, request=request_of(**facts))
        meta = backend.get_task_meta("t1")
        found.append((meta["args"], meta["kwargs"]))
    return found


ARGUMENTS = ([1, 2], {"a": 3})


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("url", STORAGES)
@pytest.mark.parametrize("codings", [("", "gzip"), ("gzip", ""), ("gzip", "bzip2")])
def test_arguments_under_other_codings_are_dropped(
    make_backend: MakeBackend,
    settings: Settings,
    own_cache_keys: Callable[[str], str],
    url: str,
    codings: tuple[str, str],
) -> None:
    """The content encoding of the row is that of the later state, which cannot decode them."""
    own_cache_keys("default")
    found = stored_arguments(make_backend, settings, url, *codings)
    assert [ARGUMENTS, (None, None)] == found


@pytest.mark.usefixtures("listener")
@pytest.mark.parametrize("url", STORAGES)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_arguments_under_the_same_coding_stay(
    make_backend: MakeBackend,
    settings: Settings,
    own_cache_keys: Callable[[str], str],
    url: str,
    coding: str,
) -> None:
    """A later state that brings no arguments leaves them as they are."""
    own_cache_keys("default")
    found = stored_arguments(make_backend, settings, url, coding, coding)
    assert [ARGUMENTS, ARGUMENTS] == found
