"""Writing a row in one statement: inserted, or else updated where the rule lets it be.

Django compiles the INSERT, and has no way to say on what condition a row that is there
may be overwritten; that tail is written here. A statement is compiled once for each
database and set of columns, and shared by all threads: it keeps hold of no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.expressions import Expression
from django.utils import timezone

from .clock import DatabaseNow, has_clock
from .django_internals import attempt, compile_insert, rollback_on_error

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    _Row = Mapping[str, Any]
    _Field = models.Field[Any, Any]

__all__ = ["Upsert", "WriteRule", "find_upsert"]


@dataclass(frozen=True, eq=False)
class WriteRule:
    """What a write may do to a row that is there; compared, and hashed, as the object it is."""

    #: The column by which a row is known; it has a unique index.
    key: str
    #: Columns in which nothing does not overwrite something.
    kept: frozenset[str] = frozenset()
    #: A column, and the value in it (a plain word) that makes a row final.
    final: tuple[str, str] | None = None
    #: Whether a row that is there stays as it is.
    insert_only: bool = False


@dataclass(frozen=True)
class Upsert:
    """One compiled statement, and what makes its parameters of a row."""

    sql: str
    slots: Sequence[_Slot] = field(repr=False)
    is_mysql: bool

    def execute(self, connection: BaseDatabaseWrapper, row: _Row) -> bool:
        """Write ``row``; return whether it was written, or what is there stays as it is.

        An error marks the caller's transaction for rollback.
        """
        # As Django's methods do.
        with rollback_on_error(connection), connection.cursor() as cursor:
            cursor.execute(self.sql, self.parameters(connection, row))
            if self.is_mysql:
                # MySQL counts two where a row was updated, and one where it was inserted or
                # left as it was; the tail makes the last id zero unless it was inserted.
                return bool(cursor.rowcount > 1 or cursor.lastrowid)
            return bool(cursor.rowcount)

    def parameters(self, connection: BaseDatabaseWrapper, row: _Row) -> list[Any]:
        """Return the parameters of :attr:`sql` for ``row``."""
        return [slot.parameter(row, connection) for slot in self.slots]


#: By database, model, rule and the columns that are given; see :func:`find_upsert`.
_statements: dict[Any, Upsert | None] = {}


def find_upsert(
    connection: BaseDatabaseWrapper, model: type[models.Model], rule: WriteRule, row: _Row
) -> Upsert | None:
    """Return the statement that writes a row like this, ``None`` where it takes several.

    That is so on a database that has no such statement, for a model without a numeric
    key or with rows in several tables, where values are expressions, and with a Django that
    cannot compile it.
    """
    computed = tuple(
        (name, type(value)) for name, value in row.items() if isinstance(value, Expression)
    )
    database = (connection.alias, connection.vendor, connection.timezone_name)
    kind = (*database, model, rule, tuple(row), computed)
    try:
        return _statements[kind]
    except KeyError:
        can = {one for _, one in computed} <= {DatabaseNow} and _is_simple(model)
        compiled = partial(_compile, connection, model, rule, row)
        found = attempt("compile the statement that writes a row", compiled) if can else None
        return _statements.setdefault(kind, found)


def _is_simple(model: type[models.Model]) -> bool:
    return model._meta.auto_field is not None and not model._meta.parents


def _compile(
    connection: BaseDatabaseWrapper, model: type[models.Model], rule: WriteRule, row: _Row
) -> Upsert | None:
    make_tail = _tail_for(connection)
    if make_tail is None:
        return None
    sql, slots = _insert(connection, model, row)
    tail = make_tail(connection, model, rule, _updated_columns(model, rule, row))
    return Upsert(sql=f"{sql} {tail}", slots=slots, is_mysql=connection.vendor == "mysql")


# -- The INSERT ----------------------------------------------------------------------


def _insert(
    connection: BaseDatabaseWrapper, model: type[models.Model], row: _Row
) -> tuple[str, Sequence[_Slot]]:
    """Return the INSERT as Django compiles it, and its parameters as slots."""
    own = model._meta.auto_field
    fields = model._meta.local_concrete_fields
    columns: list[_Field] = [one for one in fields if one is not own and not one.generated]
    template: Any = model()
    for column in columns:
        setattr(template, column.attname, _value(connection, column, row))
    compiled = compile_insert(connection, columns, template)
    slots = [one for one in compiled.parameters if isinstance(one, _Slot)]
    if len(slots) != len(compiled.parameters):
        raise ValueError(f"its parameters are {compiled.parameters!r} instead of slots alone")
    return compiled.sql, slots


def _value(connection: BaseDatabaseWrapper, column: _Field, row: _Row) -> Expression:
    is_date = _is_set_by_every_write(column) or getattr(column, "auto_now_add", False)
    if is_date or isinstance(row.get(column.name), DatabaseNow):
        return DatabaseNow() if has_clock(connection) else _TimeSlot(column)
    return (_Slot if column.name in row else _DefaultSlot)(column)


def _is_set_by_every_write(column: _Field) -> bool:
    return bool(getattr(column, "auto_now", False))


class _Slot(Expression):
    """The place of a column's parameter: compiled, it is a parameter itself."""

    #: What drivers take as it is; to ask the field takes longer than to send the value.
    PLAIN = (models.CharField, models.TextField, models.DateTimeField)

    def __init__(self, column: _Field) -> None:
        super().__init__()
        self.column = column
        self.name = column.name
        self.plain = (str, type(None)) if type(column) in self.PLAIN else ()

    def as_sql(self, *_: Any) -> Any:
        """Compile to a placeholder."""
        return "%s", (self,)

    def parameter(self, row: _Row, connection: BaseDatabaseWrapper) -> Any:
        """Return what to send for ``row``."""
        value = row[self.name]
        if type(value) in self.plain:
            return value
        return self.column.get_db_prep_save(value, connection)


class _DefaultSlot(_Slot):
    """For a column of which the row says nothing: a site's own model may have more of them."""

    def parameter(self, _row: _Row, connection: BaseDatabaseWrapper) -> Any:
        return self.column.get_db_prep_save(self.column.get_default(), connection)


class _TimeSlot(_Slot):
    """For the time, where the database has no clock."""

    def parameter(self, _row: _Row, connection: BaseDatabaseWrapper) -> Any:
        return self.column.get_db_prep_save(timezone.now(), connection)


# -- The tail ------------------------------------------------------------------------


def _updated_columns(model: type[models.Model], rule: WriteRule, row: _Row) -> dict[str, str]:
    """Return, by field name, the columns that a write over a row changes.

    The final one comes last: MySQL assigns in order, and reads what it has assigned.
    """
    if rule.insert_only:
        return {}
    last = rule.final[0] if rule.final else None
    fields = [one for one in model._meta.local_concrete_fields if one.name != rule.key]
    written = [one for one in fields if one.name in row or _is_set_by_every_write(one)]
    written.sort(key=lambda one: one.name == last)
    return {one.name: str(one.column) for one in written}


def _column(model: type[models.Model], name: str) -> str:
    found: Any = model._meta.get_field(name)
    return str(found.column)


def _tail_for(
    connection: BaseDatabaseWrapper,
) -> Callable[[Any, type[models.Model], WriteRule, Mapping[str, str]], str] | None:
    if connection.vendor == "mysql":
        return _mysql_tail
    return _standard_tail if connection.features.supports_update_conflicts_with_target else None


def _standard_tail(
    connection: Any, model: type[models.Model], rule: WriteRule, columns: Mapping[str, str]
) -> str:
    """Return the tail for PostgreSQL, and for SQLite, which has it from there."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(_column(model, rule.key))
    if not columns:
        return f"ON CONFLICT ({key}) DO NOTHING"
    changes = []
    for name, column in columns.items():
        old, new = f"{table}.{quote(column)}", f"EXCLUDED.{quote(column)}"
        value = f"COALESCE({new}, {old})" if name in rule.kept else new
        changes.append(f"{quote(column)} = {value}")
    sql = f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}"
    if rule.final is not None:
        sql += f" WHERE {table}.{quote(columns[rule.final[0]])} <> '{rule.final[1]}'"
    return sql


def _mysql_tail(
    connection: Any, model: type[models.Model], rule: WriteRule, columns: Mapping[str, str]
) -> str:
    """Return the tail for MySQL and MariaDB, which have no condition for the whole row.

    LAST_INSERT_ID with an argument is their own idiom: see "INSERT … ON DUPLICATE KEY
    UPDATE" in the manual.
    """
    quote = connection.ops.quote_name
    # MySQL has its own name for the new row since 8.0.19, and then wants one for the old one
    # too; MariaDB has not, and a statement half as long is parsed sooner.
    has_alias = not connection.mysql_is_mariadb and connection.mysql_version >= (8, 0, 19)
    table = f"{quote(model._meta.db_table)}." if has_alias else ""
    own = quote(model._meta.pk.column)
    changes = [f"{own} = {table}{own} + LAST_INSERT_ID(0)"]
    for name, column in columns.items():
        old = f"{table}{quote(column)}"
        value = f"new.{quote(column)}" if has_alias else f"VALUES({quote(column)})"
        if name in rule.kept:
            value = f"COALESCE({value}, {old})"
        if rule.final is not None:
            final = f"{table}{quote(columns[rule.final[0]])} = '{rule.final[1]}'"
            value = f"IF({final}, {old}, {value})"
        changes.append(f"{quote(column)} = {value}")
    return f"{'AS new ' if has_alias else ''}ON DUPLICATE KEY UPDATE {', '.join(changes)}"
