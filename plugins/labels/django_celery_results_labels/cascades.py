"""Rows that the database deletes together with those that they refer to.

A result goes in many ways: it expires, it is forgotten, somebody deletes it in the
admin or in SQL. The database alone sees all of them, and needs no rows read for it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import migrations, models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState

__all__ = ["DB_CASCADE", "CreateModelWithCascade"]

#: ``on_delete`` of such a key. Django has it since 6.1; for those before, it leaves the
#: rows alone, and so to the constraint that :class:`CreateModelWithCascade` makes.
DB_CASCADE: Any = getattr(models, "DB_CASCADE", models.DO_NOTHING)
HAS_CASCADE = DB_CASCADE is not models.DO_NOTHING

TEMPLATES = ("sql_create_fk", "sql_create_inline_fk")
REFERENCED = "(%(to_column)s)"


class CreateModelWithCascade(migrations.CreateModel):
    """Creates a table whose foreign keys all delete in cascade, on every Django."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the table."""
        with _cascading(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)


@contextmanager
def _cascading(schema_editor: Any) -> Iterator[None]:
    """Let the schema editor of a Django before 6.1 say ``ON DELETE CASCADE``."""
    templates = {name: getattr(schema_editor, name) for name in TEMPLATES}
    if not HAS_CASCADE:
        for name, template in templates.items():
            if template:
                cascading = template.replace(REFERENCED, f"{REFERENCED} ON DELETE CASCADE")
                setattr(schema_editor, name, cascading)
    try:
        yield
    finally:
        for name, template in templates.items():
            setattr(schema_editor, name, template)
