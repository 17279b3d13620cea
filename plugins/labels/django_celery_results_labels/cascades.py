"""Foreign keys with ``ON DELETE CASCADE``, so that the database deletes the rows.

A result may be deleted by expiry, by a forget, in the admin or in SQL. Only the database
sees all of these, and it does not need to read the rows first.
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

#: ``on_delete`` of such a key. Django has it since 6.1; on older versions the key leaves the
#: rows alone, so that the constraint made by :class:`CreateModelWithCascade` deletes them.
DB_CASCADE: Any = getattr(models, "DB_CASCADE", models.DO_NOTHING)
HAS_CASCADE = DB_CASCADE is not models.DO_NOTHING

TEMPLATES = ("sql_create_fk", "sql_create_inline_fk")
REFERENCED = "(%(to_column)s)"


class CreateModelWithCascade(migrations.CreateModel):
    """Creates a table whose foreign keys all have ``ON DELETE CASCADE`` on every Django."""

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
    """Let the schema editor of a Django before 6.1 write ``ON DELETE CASCADE``."""
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
