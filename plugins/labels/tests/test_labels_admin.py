"""The admin page with labels, registered as in the documentation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from labels_rows import store

from django_celery_results.admin import TaskResultAdmin
from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from django.test import Client

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_registered")]

PAGE = "admin:django_celery_results_taskresult_changelist"


@pytest.fixture
def _registered() -> Iterator[None]:
    """Registers the page, and the core's own page again afterwards."""
    sys.modules.pop("labels_admin", None)
    import_module("labels_admin")
    yield
    admin.site.unregister(TaskResult)
    admin.site.register(TaskResult, TaskResultAdmin)


def shown(client: Client, **query: str) -> Any:
    """Store three results and return the response to a query."""
    store("task-a", labels={"tenant": 3, "user": "x"})
    store("task-b", labels={"tenant": 4})
    store("task-c")
    return client.get(reverse(PAGE), query)


def ids(response: Any) -> list[str]:
    """Return the task ids on a page."""
    return sorted(row.task_id for row in response.context["cl"].result_list)


def test_column_shows_the_labels(admin_client: Client) -> None:
    """Sorted by name, for each result."""
    content = shown(admin_client).content.decode()
    assert '<td class="field-labels">tenant=3, user=x</td>' in content
    assert '<td class="field-labels">tenant=4</td>' in content


def test_labels_of_a_page_take_one_query(admin_client: Client) -> None:
    """For any number of results on the page."""
    with CaptureQueriesContext(connection) as captured:
        shown(admin_client)
    read = [one["sql"] for one in captured.captured_queries if one["sql"].startswith("SELECT")]
    assert 1 == sum("labels_label" in sql for sql in read)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("tenant=3", ["task-a"]),
        ("tenant", ["task-a", "task-b"]),
        ("tenant=5", []),
        ("", ["task-a", "task-b", "task-c"]),
    ],
)
def test_filter_finds_results(admin_client: Client, label: str, expected: list[str]) -> None:
    """By name and value, or by name alone."""
    assert expected == ids(shown(admin_client, label=label))


def test_filter_keeps_other_filters(admin_client: Client) -> None:
    """The form sends them along, and the field shows the current label."""
    content = shown(admin_client, label="tenant=3", status="SUCCESS").content.decode()
    assert '<input type="hidden" name="status" value="SUCCESS">' in content
    assert 'name="label" value="tenant=3"' in content


def test_filter_refuses_an_invalid_label(admin_client: Client) -> None:
    """The same as Django's own filters."""
    response = shown(admin_client, label=f"tenant={'x' * 201}")
    assert (302, "?e=1") == (response.status_code, response["Location"][-4:])
