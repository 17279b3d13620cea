"""All contents in a database, read in batches and written back in another form."""

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

#: What a row is the record of: a task, a saved group, a chord's body, a chord's part.
ContentKind = Literal["task", "group", "chord", "part"]

FORM = ("content_type", "content_encoding")


@dataclass(frozen=True, kw_only=True)
class ContentRow:
    """One row, as it was read."""

    kind: ContentKind
    #: The id of the task, the group or the chord; a part has that of its task.
    id: str
    contents: Contents
    pk: Any = field(repr=False)
    #: The columns that say whether the row is still as it was.
    seen: Mapping[str, Any] = field(repr=False)

    def __str__(self) -> str:
        """Return what it is, for people."""
        names = {"chord": "the body of chord", "part": "the result of chord part"}
        return f"{names.get(self.kind, self.kind)} {self.id!r}"


@dataclass(frozen=True)
class _Table:
    """A table that has contents."""

    kind: ContentKind
    rows: QuerySet[Any]
    key: str
    #: The column of each content.
    columns: Mapping[str, str]
    #: The column that every write sets anew; ``""``: a row is written only once.
    date: str = ""


class DatabaseContents:
    """The rows of a database storage that have contents, or some of them.

    ``wanted`` is given the names of a table's columns of contents, and returns the
    condition of the rows that are meant; beside those columns it may use
    ``content_type`` and ``content_encoding``. ``repeat`` makes a batch, and makes it
    again if the database fails it in a way that passes: that of
    :class:`~django_celery_results.records.Expiry`.

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
        """Yield the rows, at most ``size`` at a time; each is read when it is asked for."""
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
        """Write other contents to rows, in one transaction; return how many took them.

        A row that was written or deleted since it was read stays as it is. Dates stay too:
        nothing lives longer for it. No signal is sent.
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
    # MariaDB finds texts equal that differ in case: the date tells of every later write.
    return (*FORM, *table.columns.values(), *filter(None, [table.date]))


def _content_row(table: _Table, columns: Mapping[str, Any]) -> ContentRow:
    fields = {name: columns[column] for name, column in table.columns.items()}
    contents = contents_of(fields, *(columns[name] for name in FORM))
    seen = {name: columns[name] for name in _compared(table)}
    return ContentRow(
        kind=table.kind, id=columns[table.key], contents=contents, pk=columns["pk"], seen=seen
    )
