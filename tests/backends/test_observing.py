"""Observing plugins see more than the values: the headers, and the row's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states

from django_celery_results import hookimpl

from .common import row
from .conftest import request_of

if TYPE_CHECKING:
    from django_celery_results.records import StoredTask, TaskRecord
    from django_celery_results.testing.fixtures import MakeBackend, Register


class Onlooker:
    """Records the headers and the database of each store."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, str | None]] = []

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask) -> None:
        """Record them."""
        self.heard.append((task.headers, stored.using))


@pytest.fixture
def onlooker(registered: Register) -> Onlooker:
    """An observer in use."""
    own = Onlooker()
    registered(own)
    return own


@pytest.mark.django_db
def test_plugins_see_the_senders_headers(make_backend: MakeBackend, onlooker: Onlooker) -> None:
    """Celery's own headers are left out, and the sender's are not stored."""
    request = request_of(task="add", lang="py", retries=2, tenant=3)
    make_backend(result_extended=True).mark_as_done("t1", 1, request=request)
    assert [({"tenant": 3}, "default")] == onlooker.heard
    assert '{"children": []}' == row().meta


@pytest.mark.django_db(databases=["default", "secondary"])
@pytest.mark.parametrize(
    ("url", "using", "expected"),
    [
        ("django-db", None, "default"),
        ("django-db://secondary", None, "secondary"),
        ("django-db://secondary", "default", "default"),
        ("django-cache://default", None, None),
    ],
)
def test_plugins_see_which_database_has_the_row(
    make_backend: MakeBackend,
    onlooker: Onlooker,
    url: str,
    using: str | None,
    expected: str | None,
) -> None:
    """The router, the URL or the caller chooses it; a cache has none."""
    make_backend(url).store_result("t1", 1, states.SUCCESS, using=using)
    assert [(None, expected)] == onlooker.heard
