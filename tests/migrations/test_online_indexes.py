"""Indexes that are added and removed while results are being stored."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, migrations, models, transaction
from django.db.migrations.state import ProjectState

from django_celery_results.migrations._online_indexes import AddIndexOnline, RemoveIndexOnline

NAME = "online_idx"


def statements(operation: Any, *, forwards: bool, within: Any = nullcontext()) -> list[str]:  # noqa: B008  it has no state
    """Return the SQL of the operation, or of its reversal, on an index of the creation date."""
    without = ProjectState.from_apps(apps)
    with_index = without.clone()
    index = models.Index(fields=["date_created"], name=NAME)
    migrations.AddIndex("taskresult", index).state_forwards("django_celery_results", with_index)
    adds = isinstance(operation, migrations.AddIndex)
    before, after = (without, with_index) if adds else (with_index, without)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor, within:
        if forwards:
            operation.database_forwards("django_celery_results", editor, before, after)
        else:
            operation.database_backwards("django_celery_results", editor, after, before)
    return [sql for sql in editor.collected_sql if NAME in sql]


def add() -> AddIndexOnline:
    """The operation that adds the index."""
    return AddIndexOnline("taskresult", models.Index(fields=["date_created"], name=NAME))


def remove() -> RemoveIndexOnline:
    """The operation that removes the index."""
    return RemoveIndexOnline("taskresult", NAME)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("operation", "forwards", "makes"),
    [(add(), True, True), (add(), False, False), (remove(), True, False), (remove(), False, True)],
    ids=["add", "undo add", "remove", "undo remove"],
)
def test_an_index_is_made_or_dropped(operation: Any, forwards: bool, makes: bool) -> None:
    """CONCURRENTLY is used where needed, after removing what an interrupted build left."""
    made = statements(operation, forwards=forwards)
    words = [sql.partition(" ")[0] for sql in made]
    online = connection.vendor == "postgresql"
    expected = ["DROP", "CREATE"] if online else ["CREATE"]
    assert words == (expected if makes else ["DROP"])
    assert [online] * len(made) == ["CONCURRENTLY" in sql for sql in made]


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_it_is_the_plain_operation() -> None:
    """PostgreSQL refuses CONCURRENTLY inside a transaction."""
    (made,) = statements(add(), forwards=True, within=transaction.atomic())
    assert "CONCURRENTLY" not in made
