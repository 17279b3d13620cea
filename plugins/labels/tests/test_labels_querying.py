"""Finding results by labels: the right ones, and fast."""

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
#: The mark of a full table scan in a query plan.
WHOLE = {"sqlite": "SCAN ", "postgresql": "Seq Scan", "mysql": '"access_type": "ALL"'}


def found(*conditions: Any, **more: Any) -> list[str]:
    """Return the task ids that meet the conditions."""
    rows = TaskResult.objects.filter(*conditions, **more)
    return sorted(rows.values_list("task_id", flat=True))


@pytest.fixture
def _results() -> None:
    """Stores four results."""
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
def test_condition_finds_results_with_all_labels(condition: Any, expected: list[str]) -> None:
    """It combines with &, | and ~; 3 and "3" are equal."""
    assert expected == found(condition)


@pytest.mark.usefixtures("_results")
def test_condition_combines_with_others() -> None:
    """Such as Django's own lookups, and ``labels__name`` for any label of that name."""
    assert ["a"] == found(labelled(tenant=3), labels__name="user", task_id__lt="b")


@pytest.mark.usefixtures("_results")
def test_documented_search_finds_failures() -> None:
    """It finds no other results."""
    from labels_usage import failures_of

    store("e", "FAILURE", labels={"tenant": 3})
    assert ["e"] == [row.task_id for row in failures_of(3)]


@pytest.mark.usefixtures("_results")
def test_labels_of_results_can_be_prefetched() -> None:
    """One query reads the labels of many results, and each label is readable text."""
    row = TaskResult.objects.prefetch_related("labels").get(task_id="a")
    assert ["tenant=3", "user=x"] == sorted(map(str, row.labels.all()))


def test_invalid_label_is_refused() -> None:
    """A search for it could never find anything."""
    with pytest.raises(ValueError, match="a label has to be text"):
        labelled(tenant=[3])


# -- The plan ------------------------------------------------------------------------


def fill() -> None:
    """Store many results of many tenants, and update the database's statistics."""
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
    """Return the database's query plan."""
    options = {"format": "json"} if connection.vendor == "mysql" else {}
    return str(TaskResult.objects.filter(labelled(**values)).order_by().explain(**options))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("values", [{"tenant": 7}, {"tenant": 7, "user": 7}])
def test_search_uses_the_index(values: dict[str, object]) -> None:
    """Labels are found by name and value, results by their ids; neither table is scanned."""
    fill()
    found = plan(**values)
    assert "dcr_labels_name_value_idx" in found
    assert WHOLE[connection.vendor] not in found
    assert 5 == TaskResult.objects.filter(labelled(**values)).count()
