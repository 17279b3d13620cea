"""Labels are deleted with their results, by any way of deletion and without reading rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from labels_rows import store

from django_celery_results.models import TaskResult
from django_celery_results_labels.models import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_celery_results.testing.fixtures import MakeBackend


pytestmark = pytest.mark.django_db(transaction=True)


def in_sql() -> None:
    """Delete a result as a database administrator would."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_celery_results_taskresult WHERE task_id = 't1'")


WAYS: dict[str, Callable[[Any], Any]] = {
    "forgotten": lambda backend: backend.forget("t1"),
    "expired by Celery's cleanup": lambda backend: backend.cleanup(),
    "expired by the manager": lambda _: TaskResult.objects.delete_expired(timedelta(0)),
    "deleted as an object": lambda _: TaskResult.objects.get(task_id="t1").delete(),
    "deleted by a query": lambda _: TaskResult.objects.filter(task_id="t1").delete(),
    "deleted in SQL": lambda _: in_sql(),
}


@pytest.mark.parametrize("way", WAYS)
def test_labels_are_deleted_with_the_result(make_backend: MakeBackend, way: str) -> None:
    """In every way of deletion; labels of other results stay."""
    store("t1", labels={"tenant": 3, "user": "x"})
    TaskResult.objects.update(date_done="2020-01-01T00:00Z")
    store("t2", labels={"tenant": 3})
    TaskResult.objects.filter(task_id="t2").update(date_done="2999-01-01T00:00Z")
    WAYS[way](make_backend("django-db", result_expires=60))
    assert ["t2"] == list(TaskResult.objects.values_list("task_id", flat=True))
    assert ["t2"] == list(Label.objects.values_list("task_id", flat=True))


@pytest.mark.parametrize("way", ["forgotten", "expired by Celery's cleanup", "deleted by a query"])
def test_deletion_reads_no_results_or_labels(make_backend: MakeBackend, way: str) -> None:
    """Django does not even mention the table of labels, so it can delete without a SELECT."""
    store("t1", labels={"tenant": 3})
    TaskResult.objects.update(date_done="2020-01-01T00:00Z")
    backend = make_backend("django-db", result_expires=60)
    with CaptureQueriesContext(connection) as captured:
        WAYS[way](backend)
    statements = [query["sql"] for query in captured.captured_queries]
    assert [] == [one for one in statements if "labels_label" in one or "traceback" in one]
    assert not TaskResult.objects.exists()
