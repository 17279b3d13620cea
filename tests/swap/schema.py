"""Run by either release: prints the columns and indexes of its tables as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.apps import apps
from django.db import connection

import tests.swap.common  # noqa: F401  sets Django up


def describe_columns(cursor: Any, table: str) -> list[Any]:
    """Return name, type, size, nullability and default of each column, by name."""
    columns = connection.introspection.get_table_description(cursor, table)
    return sorted(
        [column.name, column.type_code, column.internal_size, column.null_ok, column.default]
        for column in columns
    )


def describe_constraints(cursor: Any, table: str) -> list[Any]:
    """Return constraints and indexes, with only those names that the models give."""
    constraints = connection.introspection.get_constraints(cursor, table)
    given = ("django_cele_",)
    return sorted(
        (
            [name if name.startswith(given) else "", {**details}]
            for name, details in constraints.items()
        ),
        key=repr,
    )


def main() -> None:
    """Describe every table of the app."""
    seen = {}
    with connection.cursor() as cursor:
        for model in apps.get_app_config("django_celery_results").get_models():
            table = model._meta.db_table
            seen[table] = {
                "columns": describe_columns(cursor, table),
                "constraints": describe_constraints(cursor, table),
            }
    sys.stdout.write(json.dumps(seen, default=str) + "\n")


main()
