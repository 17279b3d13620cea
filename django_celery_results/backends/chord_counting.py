"""Counting a chord's part in one step: where it is new, and not the last one.

Storing its result too is the same step, where one transaction may hold both.

Of a thousand parts all but one are, so this is what a part costs. Everything else (the
last part, one that is delivered again, a chord that is not known) counts nothing here and
is told apart under a lock, by :mod:`django_celery_results.backends.database_chords`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.db import IntegrityError, connections, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.sql import UpdateQuery
from django.utils import timezone

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ..records import ChordPart
    from ..upserts import Upsert

__all__ = ["count_quickly", "part_columns", "store_and_count"]


class _Value(str):
    """A parameter that says which value takes its place when the statement is run."""

    __slots__ = ()


@dataclass(frozen=True)
class _Statement:
    """SQL, and its parameters: constants, and the names of values."""

    sql: str
    parameters: Sequence[Any]

    def run(self, connection: BaseDatabaseWrapper, values: Mapping[str, Any]) -> int:
        """Return how many rows were written."""
        with connection.cursor() as cursor:
            cursor.execute(self.sql, self.bound(values))
            return int(cursor.rowcount)

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters with these values."""
        return [values[one] if isinstance(one, _Value) else one for one in self.parameters]


def count_quickly(using: str, part: ChordPart) -> bool:
    """Count the part if it is new and others are still to come; return whether it was."""
    connection = connections[using]
    try:
        with _all_or_nothing(connection):
            return _count(connection, part)
    except IntegrityError:
        # Delivered twice: the part is there. What else it may be, the locked way will raise.
        return False


def store_and_count(
    connection: BaseDatabaseWrapper, upsert: Upsert, row: Mapping[str, Any], part: ChordPart
) -> tuple[bool, bool] | None:
    """Write ``row``, and count the part as :func:`count_quickly` does, in one transaction.

    Return whether the row was written and whether the part was counted; ``None``, and
    nothing is done, where that has to be one after the other.
    """
    if not _is_free(connection):
        # An error of the count must not undo what the caller did before.
        return None
    try:
        if connection.vendor == "postgresql":
            return _store_and_count_at_once(connection, upsert, row, part)
        with transaction.atomic(using=connection.alias):
            written = upsert.execute(connection, row)
            return written, _count(connection, part)
    except IntegrityError:
        return None


def _store_and_count_at_once(
    connection: BaseDatabaseWrapper, upsert: Upsert, row: Mapping[str, Any], part: ChordPart
) -> tuple[bool, bool]:
    statement = _with_upsert(connection.alias, upsert.sql)
    counting = statement.bound(_values(connection, part))
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, [*upsert.parameters(connection, row), *counting])
        written, counted = cursor.fetchone()
    return written, counted


def _count(connection: BaseDatabaseWrapper, part: ChordPart) -> bool:
    values = _values(connection, part)
    return all(one.run(connection, values) for one in _statements_of(connection))


def _statements_of(connection: BaseDatabaseWrapper) -> Sequence[_Statement]:
    return _statements(connection.alias, connection.vendor)


def _values(connection: BaseDatabaseWrapper, part: ChordPart) -> dict[str, Any]:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return {"group_id": part.group_id, **part_columns(part), "date_created": now}


def part_columns(part: ChordPart) -> dict[str, Any]:
    """Return the values of the row's columns, but for the counter and the date."""
    contents = part.contents
    return {
        "task_id": part.task_id,
        "group_index": part.group_index,
        "status": part.status,
        "content_type": contents.content_type if contents else "",
        "content_encoding": contents.content_encoding if contents else "",
        "result": contents.fields["result"] if contents else None,
    }


def _all_or_nothing(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Return a transaction, or what keeps an error from the one that the caller has open.

    One statement by itself is all or nothing already.
    """
    alone = len(_statements_of(connection)) == 1 and _is_free(connection)
    return nullcontext() if alone else transaction.atomic(using=connection.alias)


def _is_free(connection: BaseDatabaseWrapper) -> bool:
    """Return whether no transaction is open."""
    return not connection.in_atomic_block and connection.get_autocommit()


# -- The statements ------------------------------------------------------------------


@cache
def _statements(using: str, vendor: str) -> Sequence[_Statement]:
    """Return what counts a part on this database: compiled once, as that takes its time."""
    if vendor == "postgresql":
        counted, insert = _postgresql_steps(using)
        return [_Statement(f"WITH {counted.sql} {insert.sql}", _joined(counted, insert))]
    # The counter first: whoever writes it has it locked until the transaction ends. The
    # unique key refuses a part that is there; a look for it would lock the gap beside it
    # (MySQL, at REPEATABLE READ), which another chord's part may want to fill.
    counter = _counter(using)
    return [_decrement(counter.filter(count__gt=1)), _insert(_selected(counter))]


@cache
def _with_upsert(using: str, upsert: str) -> _Statement:
    """Return PostgreSQL's statement for both; the upsert's parameters come first.

    It gives whether the upsert wrote the row, and whether the part was counted. What stands
    in WITH is carried out, whether or not it is read (its manual, 7.8.4).
    """
    counted, insert = _postgresql_steps(using)
    # Each of them is made by Django, or above.
    sql = (
        f"WITH stored AS ({upsert} RETURNING 1), {counted.sql}, part AS ({insert.sql} RETURNING 1) "  # noqa: S608 - as said
        "SELECT EXISTS (SELECT 1 FROM stored), EXISTS (SELECT 1 FROM part)"
    )
    return _Statement(sql, _joined(counted, insert))


def _postgresql_steps(using: str) -> tuple[_Statement, _Statement]:
    """Return the count, as a part of WITH, and the INSERT that goes with it."""
    parts = _part_model().objects.filter(counter=OuterRef("pk"), task_id=_Value("task_id"))
    update = _decrement(_counter(using).filter(~Exists(parts), count__gt=1))
    counted = _Statement(f"counted AS ({update.sql} RETURNING id)", update.parameters)
    return counted, _insert(_Statement("counted", ()))


def _joined(*statements: _Statement) -> list[Any]:
    return [one for statement in statements for one in statement.parameters]


def _counter(using: str) -> QuerySet[Any]:
    counters = apps.get_model("django_celery_results", "ChordCounter").objects.using(using)
    counter: QuerySet[Any] = counters.filter(group_id=_Value("group_id"))
    return counter


def _part_model() -> type[Any]:
    return apps.get_model("django_celery_results", "ChordPart")


def _decrement(counters: QuerySet[Any]) -> _Statement:
    query = cast("UpdateQuery", counters.query.chain(UpdateQuery))
    query.add_update_values({"count": F("count") - 1})
    return _Statement(*query.get_compiler(counters.db).as_sql())


def _selected(counter: QuerySet[Any]) -> _Statement:
    sql, parameters = counter.values("id").query.get_compiler(counter.db).as_sql()
    return _Statement(f"({sql}) counted", parameters)


def _insert(counted: _Statement) -> _Statement:
    """Return the INSERT of a part for the counter that ``counted`` gives the id of."""
    meta = _part_model()._meta
    names = [one.attname for one in meta.concrete_fields]
    columns = [name for name in names if name not in ("id", "counter_id")]
    # Only names of this package's own, and placeholders.
    sql = (
        f"INSERT INTO {meta.db_table} (counter_id, {', '.join(columns)}) "  # noqa: S608 - as said
        f"SELECT counted.id, {', '.join(['%s'] * len(columns))} FROM {counted.sql}"
    )
    return _Statement(sql, [*map(_Value, columns), *counted.parameters])
