"""The rows of a batch, and the condition by which the DELETE finds them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.test.utils import isolate_apps

from django_celery_results.sql.locking import is_in
from tests import settings


@isolate_apps("tests.dependent")
def test_rows_of_a_batch_are_found_by_place_only_where_they_are_in_one_table() -> None:
    """PostgreSQL's ``ctid`` would be ambiguous in a join of two tables."""

    class Parent(models.Model):
        class Meta:
            app_label = "dependent"

    class Child(Parent):
        class Meta:
            app_label = "dependent"

    querysets: list[Any] = [models.QuerySet(Parent), models.QuerySet(Child)]
    by_place = [
        "ctid" in str(rows.filter(is_in(rows.values_list("pk")[:2])).query) for rows in querysets
    ]
    assert [settings.DATABASE == "postgresql", False] == by_place
