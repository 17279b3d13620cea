"""The statements that count a chord's part, compiled once for each database.

Django compiles what it can. What binds the pieces together is written here, because it has
no words for it: PostgreSQL's WITH, and MariaDB's BEGIN NOT ATOMIC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.sql import UpdateQuery

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Statement", "counting", "storing_too"]


class _Value(str):
    """A parameter that says which value takes its place when the statement is run."""

    __slots__ = ()


@dataclass(frozen=True)
class Statement:
    """SQL, and its parameters: constants, and the names of values."""

    sql: str
    parameters: Sequence[Any]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters with these values."""
        return [values[one] if isinstance(one, _Value) else one for one in self.parameters]


def counting(connection: BaseDatabaseWrapper) -> Sequence[Statement]:
    """Return what counts a part that is new while others are to come, in that order.

    The values are the columns of the part's row, and ``group_id``. Each statement writes a
    row, or the part is not to be counted: so the next one must not be run.
    """
    return _counting(connection.alias, connection.vendor)


def storing_too(connection: BaseDatabaseWrapper, upsert: str) -> Statement | None:
    """Return the one statement, and transaction, that runs ``upsert`` too.

    Its parameters come behind those of ``upsert``, and it gives a row of two columns:
    whether the upsert wrote its row, and whether the part was counted. ``None`` where the
    database has no such statement.
    """
    if connection.vendor == "postgresql":
        return _with_upsert(connection.alias, upsert)
    if connection.vendor == "mysql" and cast("Any", connection).mysql_is_mariadb:
        return _compound(connection.alias, upsert)
    return None


@cache
def _counting(using: str, vendor: str) -> Sequence[Statement]:
    if vendor == "postgresql":
        counted, insert = _postgresql_steps(using)
        return [_joined(f"WITH {counted.sql} {insert.sql}", counted, insert)]
    # The counter first: whoever writes it has it locked until the transaction ends. The
    # unique key refuses a part that is there; a look for it would lock the gap beside it
    # (MySQL, at REPEATABLE READ), which another chord's part may want to fill.
    counter = _counter(using)
    return [_decrement(counter.filter(count__gt=1)), _insert(_selected(counter))]


@cache
def _with_upsert(using: str, upsert: str) -> Statement:
    """Return PostgreSQL's: what stands in WITH is carried out in any case (its manual, 7.8.4)."""
    counted, insert = _postgresql_steps(using)
    # Each piece is made by Django, or below.
    sql = (
        f"WITH stored AS ({upsert} RETURNING 1), {counted.sql}, part AS ({insert.sql} RETURNING 1) "  # noqa: S608 - as said
        "SELECT EXISTS (SELECT 1 FROM stored), EXISTS (SELECT 1 FROM part)"
    )
    return _joined(sql, counted, insert)


@cache
def _compound(using: str, upsert: str) -> Statement:
    """Return MariaDB's, a procedure without a name: see "BEGIN END" in its manual.

    That the upsert wrote its row is read as :meth:`~django_celery_results.upserts.Upsert.execute`
    reads it.
    """
    decrement, insert = _counting(using, "mysql")
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
    query = cast("UpdateQuery", counters.query.chain(UpdateQuery))
    query.add_update_values({"count": F("count") - 1})
    return Statement(*query.get_compiler(counters.db).as_sql())


def _selected(counter: QuerySet[Any]) -> Statement:
    sql, parameters = counter.values("id").query.get_compiler(counter.db).as_sql()
    return Statement(f"({sql}) counted", parameters)


def _insert(counted: Statement) -> Statement:
    """Return the INSERT of a part for the counter that ``counted`` gives the id of."""
    meta = _part_model()._meta
    names = [one.attname for one in meta.concrete_fields]
    columns = [name for name in names if name not in ("id", "counter_id")]
    # Only names of this package's own, and placeholders.
    sql = (
        f"INSERT INTO {meta.db_table} (counter_id, {', '.join(columns)}) "  # noqa: S608 - as said
        f"SELECT counted.id, {', '.join(['%s'] * len(columns))} FROM {counted.sql}"
    )
    return Statement(sql, [*map(_Value, columns), *counted.parameters])
