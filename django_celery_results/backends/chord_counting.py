"""Counting a chord's part in one step: where it is new, and not the last one.

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
from django.db.models import Exists, F, Model, OuterRef, QuerySet
from django.db.models.sql import UpdateQuery
from django.utils import timezone

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ..records import ChordPart

__all__ = ["count_quickly", "part_columns"]


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
        parameters = [values[one] if isinstance(one, _Value) else one for one in self.parameters]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, parameters)
            return int(cursor.rowcount)


def count_quickly(using: str, part: ChordPart) -> bool:
    """Count the part if it is new and others are still to come; return whether it was."""
    connection = connections[using]
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    values = {"group_id": part.group_id, **part_columns(part), "date_created": now}
    statements = _statements(using, connection.vendor)
    try:
        with _all_or_nothing(connection, len(statements)):
            return all(statement.run(connection, values) for statement in statements)
    except IntegrityError:
        # Delivered twice: the part is there. What else it may be, the locked way will raise.
        return False


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


def _all_or_nothing(connection: BaseDatabaseWrapper, count: int) -> AbstractContextManager[None]:
    """Return a transaction, or what keeps an error from the one that the caller has open.

    One statement by itself is all or nothing already.
    """
    alone = count == 1 and not connection.in_atomic_block and connection.get_autocommit()
    return nullcontext() if alone else transaction.atomic(using=connection.alias)


# -- The statements ------------------------------------------------------------------


@cache
def _statements(using: str, vendor: str) -> Sequence[_Statement]:
    """Return what counts a part on this database: compiled once, as that takes its time."""
    counters = apps.get_model("django_celery_results", "ChordCounter").objects.using(using)
    part_model = apps.get_model("django_celery_results", "ChordPart")
    counter = counters.filter(group_id=_Value("group_id"))
    waiting = counter.filter(count__gt=1)
    if vendor != "postgresql":
        # The counter first: whoever writes it has it locked until the transaction ends. The
        # unique key refuses a part that is there; a look for it would lock the gap beside it
        # (MySQL, at REPEATABLE READ), which another chord's part may want to fill.
        return [_decrement(waiting), _insert(part_model, _selected(counter))]
    parts = part_model.objects.filter(counter=OuterRef("pk"), task_id=_Value("task_id"))
    update = _decrement(waiting.filter(~Exists(parts)))
    insert = _insert(part_model, _Statement("counted", ()))
    with_update = f"WITH counted AS ({update.sql} RETURNING id) {insert.sql}"
    return [_Statement(with_update, [*update.parameters, *insert.parameters])]


def _decrement(counters: QuerySet[Any]) -> _Statement:
    query = cast("UpdateQuery", counters.query.chain(UpdateQuery))
    query.add_update_values({"count": F("count") - 1})
    return _Statement(*query.get_compiler(counters.db).as_sql())


def _selected(counter: QuerySet[Any]) -> _Statement:
    sql, parameters = counter.values("id").query.get_compiler(counter.db).as_sql()
    return _Statement(f"({sql}) counted", parameters)


def _insert(part_model: type[Model], counted: _Statement) -> _Statement:
    """Return the INSERT of a part for the counter that ``counted`` gives the id of."""
    fields = part_model._meta.concrete_fields
    columns = [one.attname for one in fields if one.attname not in ("id", "counter_id")]
    # Only names of this package's own, and placeholders.
    sql = (
        f"INSERT INTO {part_model._meta.db_table} (counter_id, {', '.join(columns)}) "  # noqa: S608 - as said
        f"SELECT counted.id, {', '.join(['%s'] * len(columns))} FROM {counted.sql}"
    )
    return _Statement(sql, [*map(_Value, columns), *counted.parameters])
