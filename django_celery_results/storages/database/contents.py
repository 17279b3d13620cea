"""Reading all contents of a database in batches, and writing them back in another form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Literal

from django.apps import apps
from django.db import transaction
from django.db.models import Q

from ...records import once
from .rows import CONTENT_COLUMNS, contents_of

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ...records import Contents
    from .storage import DatabaseStorage

__all__ = ["ContentRow", "DatabaseContents"]

#: The record in a row: a task, a saved group, a chord's body or a chord's part.
ContentKind = Literal["task", "group", "chord", "part"]

FORM = ("content_type", "content_encoding")


@dataclass(frozen=True, kw_only=True)
class ContentRow:
    """One row, as it was read."""

    kind: ContentKind
    #: The id of the task, the group or the chord; for a part, the id of its task.
    id: str
    contents: Contents
    pk: Any = field(repr=False)
    #: The columns that tell whether the row has changed since.
    seen: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        """Return the kind and the id of the record, for messages."""
        names = {"chord": "the body of chord", "part": "the result of chord part"}
        return f"{names.get(self.kind, self.kind)} {self.id!r}"


@dataclass(frozen=True)
class _Table:
    """A table that has contents."""

    kind: ContentKind
    rows: QuerySet[Any]
    key: str
    #: The column of each content, by the content's name.
    columns: Mapping[str, str]
    #: The column that every write updates; ``""`` if a row is written only once.
    date: str = ""


class DatabaseContents:
    """The rows of a database storage that have contents, all of them or a selection.

    ``wanted`` gets the names of a table's content columns, and returns the condition that
    selects its rows; the condition may also use ``content_type`` and ``content_encoding``.
    ``repeat`` reads or writes a batch, and does so again after a temporary error of the
    database: the ``repeat`` of :class:`~django_celery_results.records.Expiry`.

    .. versionadded:: 3.0
    """

    def __init__(
        self,
        storage: DatabaseStorage,
        wanted: Callable[[Sequence[str]], Q] = lambda _columns: Q(),
        repeat: Callable[[Callable[[], Any]], Any] = once,
    ) -> None:
        self.repeat = repeat
        self.tables = {
            table.kind: _Table(
                table.kind, _meant(table, wanted), table.key, table.columns, table.date
            )
            for table in _tables(storage)
        }

    def count(self) -> int:
        """Return how many rows there are."""
        return sum(table.rows.count() for table in self.tables.values())

    def ids(self, kind: ContentKind, size: int) -> Iterator[str]:
        """Yield the ids of the rows of one kind, read from the database ``size`` at a time."""
        table = self.tables[kind]
        rows = table.rows.order_by("pk").values_list(table.key, flat=True)
        yield from rows.iterator(size)

    def batches(self, size: int) -> Iterator[list[ContentRow]]:
        """Yield the rows in batches of at most ``size``; each batch is read on demand."""
        for table in self.tables.values():
            last: Any = None
            names = ("pk", table.key, *_compared(table))
            while True:
                behind = Q() if last is None else Q(pk__gt=last)
                page = table.rows.filter(behind).order_by("pk").values(*names)[:size]
                found = self.repeat(partial(list, page.all()))
                if not found:
                    break
                last = found[-1]["pk"]
                yield [_content_row(table, columns) for columns in found]

    def replace(self, changes: Sequence[tuple[ContentRow, Contents]]) -> int:
        """Write other contents to rows, in one transaction; return how many rows changed.

        A row that was written or deleted since it was read is left alone. Dates do not change,
        so results do not expire any later. No signal is sent.
        """
        written: int = self.repeat(partial(self._replace, changes)) if changes else 0
        return written

    def _replace(self, changes: Sequence[tuple[ContentRow, Contents]]) -> int:
        using = self.tables[changes[0][0].kind].rows.db
        with transaction.atomic(using=using):
            return sum(self._update(row, contents) for row, contents in changes)

    def _update(self, row: ContentRow, contents: Contents) -> int:
        table = self.tables[row.kind]
        columns = {column: contents.fields[name] for name, column in table.columns.items()}
        form = {name: getattr(contents, name) for name in FORM}
        written: int = table.rows.filter(pk=row.pk, **row.seen).update(**columns, **form)
        return written


def _tables(storage: DatabaseStorage) -> Iterator[_Table]:
    tasks, groups = storage.tasks(), storage.groups()
    task_rows = tasks.using(tasks.write_alias())
    yield _Table("task", task_rows, "task_id", CONTENT_COLUMNS, "date_done")
    result = {"result": "result"}
    group_rows = groups.using(groups.write_alias())
    yield _Table("group", group_rows, "group_id", result, "date_done")
    get_model = apps.get_app_config("django_celery_results").get_model
    using = storage.chords.using
    chords = get_model("ChordCounter")._default_manager.using(using)
    yield _Table("chord", chords, "group_id", {"body": "body"})
    parts = get_model("ChordPart")._default_manager.using(using)
    yield _Table("part", parts, "task_id", result)


def _meant(table: _Table, wanted: Callable[[Sequence[str]], Q]) -> QuerySet[Any]:
    columns = tuple(table.columns.values())
    has_content = reduce(or_, (Q(**{f"{column}__isnull": False}) for column in columns))
    meant: QuerySet[Any] = table.rows.filter(has_content, wanted(columns))
    return meant


def _compared(table: _Table) -> Sequence[str]:
    # MariaDB ignores case when it compares text; the date shows every later write.
    return (*FORM, *table.columns.values(), *filter(None, [table.date]))


def _content_row(table: _Table, columns: Mapping[str, Any]) -> ContentRow:
    fields = {name: columns[column] for name, column in table.columns.items()}
    contents = contents_of(fields, *(columns[name] for name in FORM))
    seen = {name: columns[name] for name in _compared(table)}
    return ContentRow(
        kind=table.kind, id=columns[table.key], contents=contents, pk=columns["pk"], seen=seen
    )
