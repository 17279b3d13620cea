"""Finding results by labels: which, and how fast."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from labels_rows import store

from django_celery_results.models import TaskResult
from django_celery_results_labels import labelled
from django_celery_results_labels.models import Label

pytestmark = pytest.mark.django_db

MANY = 5000
#: How a plan says that a table is read whole.
WHOLE = {"sqlite": "SCAN ", "postgresql": "Seq Scan", "mysql": '"access_type": "ALL"'}


def found(*conditions: Any, **more: Any) -> list[str]:
    """Return the ids of the tasks that meet the conditions."""
    rows = TaskResult.objects.filter(*conditions, **more)
    return sorted(rows.values_list("task_id", flat=True))


@pytest.fixture
def _results() -> None:
    """Four results."""
    store("a", labels={"tenant": 3, "user": "x"})
    store("b", labels={"tenant": "3", "user": "y"})
    store("c", labels={"tenant": 4, "user": "x"})
    store("d")


@pytest.mark.usefixtures("_results")
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (labelled(tenant=3), ["a", "b"]),
        (labelled(tenant="3"), ["a", "b"]),
        (labelled(tenant=3, user="x"), ["a"]),
        (labelled(tenant=33), []),
        (labelled(other=3), []),
        (~labelled(tenant=3), ["c", "d"]),
        (labelled(tenant=4) | labelled(user="y"), ["b", "c"]),
        (labelled(), ["a", "b", "c", "d"]),
    ],
)
def test_results_with_all_labels_are_found(condition: Any, expected: list[str]) -> None:
    """It is a condition like any other; 3 and "3" are the same."""
    assert expected == found(condition)


@pytest.mark.usefixtures("_results")
def test_condition_stands_beside_others() -> None:
    """Those of Django, and the table's own name for "has any label of that name"."""
    assert ["a"] == found(labelled(tenant=3), labels__name="user", task_id__lt="b")


@pytest.mark.usefixtures("_results")
def test_documented_search_finds_failures() -> None:
    """And no others."""
    from labels_usage import failures_of

    store("e", "FAILURE", labels={"tenant": 3})
    assert ["e"] == [row.task_id for row in failures_of(3)]


@pytest.mark.usefixtures("_results")
def test_result_has_its_labels() -> None:
    """In one query for many, and readable."""
    row = TaskResult.objects.prefetch_related("labels").get(task_id="a")
    assert ["tenant=3", "user=x"] == sorted(map(str, row.labels.all()))


def test_what_cannot_be_a_label_is_refused() -> None:
    """It would find nothing."""
    with pytest.raises(ValueError, match="a label is text"):
        labelled(tenant=[3])


# -- The plan ------------------------------------------------------------------------


def fill() -> None:
    """Make many results of many tenants, and let the database count them."""
    ids = [f"t{number}" for number in range(MANY)]
    TaskResult.objects.bulk_create(TaskResult(task_id=one, status="SUCCESS") for one in ids)
    Label.objects.bulk_create(
        Label(task_id=one, name=name, value=str(number % 1000))
        for number, one in enumerate(ids)
        for name in ("tenant", "user")
    )
    analyze = "ANALYZE TABLE" if connection.vendor == "mysql" else "ANALYZE"
    with connection.cursor() as cursor:
        for model in (TaskResult, Label):
            cursor.execute(f"{analyze} {model._meta.db_table}")


def plan(**values: object) -> str:
    """Return how the database would find the results."""
    options = {"format": "json"} if connection.vendor == "mysql" else {}
    return str(TaskResult.objects.filter(labelled(**values)).order_by().explain(**options))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("values", [{"tenant": 7}, {"tenant": 7, "user": 7}])
def test_search_is_a_lookup_in_the_index(values: dict[str, object]) -> None:
    """On name and value; the results are found by their ids, and neither table is read whole."""
    fill()
    found = plan(**values)
    assert "dcr_labels_name_value_idx" in found
    assert WHOLE[connection.vendor] not in found
    assert 5 == TaskResult.objects.filter(labelled(**values)).count()
