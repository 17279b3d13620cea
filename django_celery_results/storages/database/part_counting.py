"""Counting a chord's part in one step, if the part is new and not the last one.

999 of 1,000 parts take this path, so it sets the cost per part. The other cases (the last
part, a part that is delivered again, an unknown chord) count nothing here, and are told
apart under a lock, by :mod:`django_celery_results.storages.database.chords`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.db import IntegrityError, connections, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from ...records import StoredPart
from ...sql.django_internals import attempt, compile_select, compile_update

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ...records import ChordPart
    from ...sql.upserts import Upsert

__all__ = ["count_quickly", "part_columns", "store_and_count"]


def count_quickly(using: str, part: ChordPart) -> bool:
    """Count the part if it is new and not the last one; return whether it was counted."""
    connection = connections[using]
    statements = counting(connection)
    if statements is None:
        return False
    try:
        with _all_or_nothing(connection, len(statements)):
            return _count(connection, statements, part)
    except IntegrityError:
        # Delivered twice: the part exists. If it is another error, the locked path raises it.
        return False


def store_and_count(
    connection: BaseDatabaseWrapper, upsert: Upsert, row: Mapping[str, Any], part: ChordPart
) -> StoredPart | None:
    """Write ``row`` and do what :func:`count_quickly` does, in one transaction.

    Return ``None``, and do nothing, if this takes two steps.
    """
    statements = counting(connection)
    if statements is None or not _is_free(connection):
        # An error of the count must not undo earlier work of the caller's transaction.
        return None
    at_once = storing_too(connection, upsert.sql)
    try:
        if at_once is not None:
            parameters = [
                *upsert.parameters(connection, row),
                *at_once.bound(_values(connection, part)),
            ]
            with connection.cursor() as cursor:
                cursor.execute(at_once.sql, parameters)
                written, counted = cursor.fetchone()
        else:
            with transaction.atomic(using=connection.alias):
                written = upsert.execute(connection, row)
                counted = _count(connection, statements, part)
    except IntegrityError:
        # Usually delivered twice. The row was rolled back too, and the caller stores it alone.
        return None
    return StoredPart(written=bool(written), counted=bool(counted))


def part_columns(part: ChordPart) -> dict[str, Any]:
    """Return the values of the row's columns, except the counter and the date."""
    contents = part.contents
    return {
        "task_id": part.task_id,
        "group_index": part.group_index,
        "status": part.status,
        "content_type": contents.content_type if contents else "",
        "content_encoding": contents.content_encoding if contents else "",
        "result": contents.fields["result"] if contents else None,
    }


def _count(
    connection: BaseDatabaseWrapper, statements: Sequence[Statement], part: ChordPart
) -> bool:
    values = _values(connection, part)
    for statement in statements:
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.bound(values))
            if not cursor.rowcount:
                return False
    return True


def _values(connection: BaseDatabaseWrapper, part: ChordPart) -> dict[str, Any]:
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return {"group_id": part.group_id, **part_columns(part), "date_created": now}


def _all_or_nothing(connection: BaseDatabaseWrapper, count: int) -> AbstractContextManager[None]:
    """Return a transaction, or a savepoint if the caller has a transaction open.

    A single statement outside a transaction needs neither.
    """
    alone = count == 1 and _is_free(connection)
    return nullcontext() if alone else transaction.atomic(using=connection.alias)


def _is_free(connection: BaseDatabaseWrapper) -> bool:
    """Return whether no transaction is open."""
    return not connection.in_atomic_block and connection.get_autocommit()


# -- The statements, compiled once for each database ---------------------------------


class _Value(str):
    """A parameter that names the value to take its place when the statement is run."""

    __slots__ = ()


@dataclass(frozen=True)
class Statement:
    """SQL and its parameters, which are constants and names of values."""

    sql: str
    parameters: Sequence[Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters, with each name replaced by its value."""
        return [values[one] if isinstance(one, _Value) else one for one in self.parameters]


def counting(connection: BaseDatabaseWrapper) -> Sequence[Statement] | None:
    """Return the statements that count a part if it is new and not the last, in order.

    The values are the columns of the part's row, and ``group_id``. If a statement writes no
    row, the part does not count, and the next statement must not be run. Return ``None`` if
    Django cannot compile them.
    """
    return _counting(connection.alias, connection.vendor)


def storing_too(connection: BaseDatabaseWrapper, upsert: str) -> Statement | None:
    """Return the single statement, also a transaction, that counts the part and runs ``upsert``.

    Its parameters come after those of ``upsert``, and it returns a row of two columns:
    whether the upsert wrote its row, and whether the part was counted. ``None`` if the
    database lacks such a statement.
    """
    if connection.vendor == "postgresql":
        return _with_upsert(connection.alias, upsert)
    if connection.vendor == "mysql" and cast("Any", connection).mysql_is_mariadb:
        return _compound(connection.alias, upsert)
    return None


@cache
def _counting(using: str, vendor: str) -> Sequence[Statement] | None:
    steps = attempt("compile the statements that count a part", partial(_steps, using, vendor))
    if steps is None or vendor != "postgresql":
        return steps
    counted, insert = steps
    return [_joined(f"WITH {counted.sql} {insert.sql}", counted, insert)]


@cache
def _steps(using: str, vendor: str) -> tuple[Statement, Statement]:
    """Return what counts the part, on PostgreSQL a piece of WITH, and the INSERT of the part."""
    if vendor == "postgresql":
        return _postgresql_steps(using)
    # The counter first, because writing it locks it until the transaction ends. The unique
    # key refuses a part that exists; a SELECT for it would lock the gap next to it (MySQL, at
    # REPEATABLE READ), where another chord's part may be inserted.
    counter = _counter(using)
    return _decrement(counter.filter(count__gt=1)), _insert(_selected(counter))


@cache
def _with_upsert(using: str, upsert: str) -> Statement:
    """Return PostgreSQL's statement; everything in WITH is executed (its manual, 7.8.4)."""
    counted, insert = _steps(using, "postgresql")
    # Django, or a function below, makes each piece.
    sql = (
        f"WITH stored AS ({upsert} RETURNING 1), {counted.sql}, part AS ({insert.sql} RETURNING 1) "  # noqa: S608 - as said
        "SELECT EXISTS (SELECT 1 FROM stored), EXISTS (SELECT 1 FROM part)"
    )
    return _joined(sql, counted, insert)


@cache
def _compound(using: str, upsert: str) -> Statement:
    """Return MariaDB's statement, a procedure without a name: see "BEGIN END" in its manual.

    It finds out in the same way as :meth:`.Upsert.execute` whether the upsert wrote its row.
    """
    decrement, insert = _steps(using, "mysql")
    sql = f"""BEGIN NOT ATOMIC
        DECLARE stored, counted BOOLEAN;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
        START TRANSACTION;
        {upsert};
        SET stored = ROW_COUNT() > 1 OR LAST_INSERT_ID() > 0;
        {decrement.sql};
        SET counted = ROW_COUNT() > 0;
        IF counted THEN {insert.sql}; END IF;
        COMMIT;
        SELECT stored, counted;
    END"""
    return _joined(sql, decrement, insert)


def _joined(sql: str, *pieces: Statement) -> Statement:
    return Statement(sql, [one for piece in pieces for one in piece.parameters])


# -- The pieces ----------------------------------------------------------------------


def _counter(using: str) -> QuerySet[Any]:
    counters = apps.get_model("django_celery_results", "ChordCounter").objects.using(using)
    counter: QuerySet[Any] = counters.filter(group_id=_Value("group_id"))
    return counter


def _part_model() -> type[Any]:
    return apps.get_model("django_celery_results", "ChordPart")


def _postgresql_steps(using: str) -> tuple[Statement, Statement]:
    """Return the count, as a piece of WITH, and the INSERT that reads from it."""
    parts = _part_model().objects.filter(counter=OuterRef("pk"), task_id=_Value("task_id"))
    update = _decrement(_counter(using).filter(~Exists(parts), count__gt=1))
    counted = Statement(f"counted AS ({update.sql} RETURNING id)", update.parameters)
    return counted, _insert(Statement("counted", ()))


def _decrement(counters: QuerySet[Any]) -> Statement:
    compiled = compile_update(connections[counters.db], counters, {"count": F("count") - 1})
    return Statement(compiled.sql, compiled.parameters)


def _selected(counter: QuerySet[Any]) -> Statement:
    compiled = compile_select(connections[counter.db], counter.values_list("id"))
    return Statement(f"({compiled.sql}) counted", compiled.parameters)


def _insert(counted: Statement) -> Statement:
    """Return the INSERT of a part for the counter whose id ``counted`` selects."""
    meta = _part_model()._meta
    names = [one.attname for one in meta.concrete_fields]
    columns = [name for name in names if name not in ("id", "counter_id")]
    # It contains only names from this package, and placeholders.
    sql = (
        f"INSERT INTO {meta.db_table} (counter_id, {', '.join(columns)}) "  # noqa: S608 - as said
        f"SELECT counted.id, {', '.join(['%s'] * len(columns))} FROM {counted.sql}"
    )
    return Statement(sql, [*map(_Value, columns), *counted.parameters])
