"""Migration operations that add and remove an index while results are being stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import migrations

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.models import Index, Model

__all__ = ["AddIndexOnline", "RemoveIndexOnline"]


class _Online:
    """Uses ``CONCURRENTLY`` on PostgreSQL, so that the table can be written to meanwhile.

    MariaDB and MySQL allow that by themselves. The migration must not be atomic: PostgreSQL
    refuses ``CONCURRENTLY`` inside a transaction, and there Django's plain operation runs.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Run the operation."""
        operation: Any = super()
        operation.database_forwards(app_label, _online(schema_editor), *states)

    def database_backwards(self, app_label: str, schema_editor: Any, *states: Any) -> None:
        """Reverse the operation."""
        operation: Any = super()
        operation.database_backwards(app_label, _online(schema_editor), *states)


class AddIndexOnline(_Online, migrations.AddIndex):
    """``AddIndex`` on a table that is in use."""


class RemoveIndexOnline(_Online, migrations.RemoveIndex):
    """``RemoveIndex`` on a table that is in use."""


def _online(editor: BaseDatabaseSchemaEditor) -> BaseDatabaseSchemaEditor | _ConcurrentEditor:
    connection = editor.connection
    can = connection.vendor == "postgresql" and not connection.in_atomic_block
    return _ConcurrentEditor(editor) if can else editor


class _ConcurrentEditor:
    """The part of PostgreSQL's schema editor that operations on indexes need."""

    def __init__(self, editor: Any) -> None:
        self.editor = editor
        self.connection = editor.connection

    def add_index(self, model: type[Model], index: Index) -> None:
        # An interrupted build leaves an invalid index of this name, which no query can use.
        self.remove_index(model, index)
        self.editor.add_index(model, index, concurrently=True)

    def remove_index(self, model: type[Model], index: Index) -> None:
        self.editor.remove_index(model, index, concurrently=True)
