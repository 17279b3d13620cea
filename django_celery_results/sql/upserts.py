"""Writing a row in one statement: an INSERT, or else an UPDATE if the rule allows it.

Django compiles the INSERT, but cannot express the condition under which an existing row
may be overwritten; this module writes that tail. A statement is compiled once for each
database and set of columns, and shared by all threads, because it holds no connection.
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
    """The rule for overwriting an existing row; compared, and hashed, by identity."""

    #: The column that identifies a row; it has a unique index.
    key: str
    #: Columns where NULL never replaces an existing value.
    kept: frozenset[str] = frozenset()
    #: Columns of which that is true only if the columns of ``form`` stay as they are.
    kept_in_form: frozenset[str] = frozenset()
    #: The columns that say how the values of a row are encoded.
    form: tuple[str, ...] = ()
    #: A column, and the value in it (a plain word) that makes a row final.
    final: tuple[str, str] | None = None
    #: Whether an existing row is left unchanged.
    insert_only: bool = False


@dataclass(frozen=True)
class Upsert:
    """One compiled statement, and the slots that take its parameters from a row."""

    sql: str
    slots: Sequence[_Slot] = field(repr=False)
    is_mysql: bool

    def execute(self, connection: BaseDatabaseWrapper, row: _Row) -> bool:
        """Write ``row``; return false if the existing row was left unchanged.

        An error marks the caller's transaction for rollback.
        """
        # As Django's methods do.
        with rollback_on_error(connection), connection.cursor() as cursor:
            cursor.execute(self.sql, self.parameters(connection, row))
            if self.is_mysql:
                # MySQL counts two if a row was updated, and one if it was inserted or left
                # unchanged; the tail sets the last id to zero unless the row was inserted.
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
    """Return the statement that writes a row like this, ``None`` if it takes several.

    It takes several on a database that lacks such a statement, for a model without a numeric
    key or with rows in several tables, if values are expressions, and with a Django that cannot
    compile it.
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
    """The place of a column's parameter; when compiled, the slot itself is the parameter."""

    #: Fields whose values drivers take unchanged; asking the field takes longer than sending.
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
        """Return the value to send for ``row``."""
        value = row[self.name]
        if type(value) in self.plain:
            return value
        return self.column.get_db_prep_save(value, connection)


class _DefaultSlot(_Slot):
    """A slot for a column that is not in the row; a site's own model may have such columns."""

    def parameter(self, _row: _Row, connection: BaseDatabaseWrapper) -> Any:
        return self.column.get_db_prep_save(self.column.get_default(), connection)


class _TimeSlot(_Slot):
    """A slot for the current time, on a database without a clock."""

    def parameter(self, _row: _Row, connection: BaseDatabaseWrapper) -> Any:
        return self.column.get_db_prep_save(timezone.now(), connection)


# -- The tail ------------------------------------------------------------------------


def _updated_columns(model: type[models.Model], rule: WriteRule, row: _Row) -> dict[str, str]:
    """Return, by field name, the columns that change when a row is overwritten.

    The columns that conditions read come last: MySQL assigns in order, and its conditions read
    the new values.
    """
    if rule.insert_only:
        return {}
    last = (*rule.form, rule.final[0]) if rule.final else rule.form
    fields = [one for one in model._meta.local_concrete_fields if one.name != rule.key]
    written = [one for one in fields if one.name in row or _is_set_by_every_write(one)]
    written.sort(key=lambda one: last.index(one.name) if one.name in last else -1)
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
    """Return the tail for PostgreSQL, and for SQLite, which follows its syntax."""
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(_column(model, rule.key))
    if not columns:
        return f"ON CONFLICT ({key}) DO NOTHING"

    def pair(column: str) -> tuple[str, str]:
        return f"{table}.{quote(column)}", f"EXCLUDED.{quote(column)}"

    changes = [
        f"{quote(column)} = {_kept_value(rule, name, pair, columns)}"
        for name, column in columns.items()
    ]
    sql = f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}"
    if rule.final is not None:
        sql += f" WHERE {table}.{quote(columns[rule.final[0]])} <> '{rule.final[1]}'"
    return sql


def _kept_value(
    rule: WriteRule,
    name: str,
    pair: Callable[[str], tuple[str, str]],
    columns: Mapping[str, str],
) -> str:
    """Return the expression of a column's new value; ``pair`` gives the old and the new one."""
    old, new = pair(columns[name])
    if name in rule.kept_in_form and all(one in columns for one in rule.form):
        same = " AND ".join("{} = {}".format(*pair(columns[one])) for one in rule.form)
        return f"COALESCE({new}, CASE WHEN {same} THEN {old} END)"
    return f"COALESCE({new}, {old})" if name in rule.kept | rule.kept_in_form else new


def _mysql_tail(
    connection: Any, model: type[models.Model], rule: WriteRule, columns: Mapping[str, str]
) -> str:
    """Return the tail for MySQL and MariaDB, which lack a condition for the whole row.

    LAST_INSERT_ID with an argument is their own idiom: see "INSERT … ON DUPLICATE KEY
    UPDATE" in the manual.
    """
    quote = connection.ops.quote_name
    # Since 8.0.19 MySQL can name the new row, and then the old row needs a name too; MariaDB
    # cannot, and the statement without names is half as long and parsed faster.
    has_alias = not connection.mysql_is_mariadb and connection.mysql_version >= (8, 0, 19)
    table = f"{quote(model._meta.db_table)}." if has_alias else ""
    own = quote(model._meta.pk.column)
    changes = [f"{own} = {table}{own} + LAST_INSERT_ID(0)"]

    def pair(column: str) -> tuple[str, str]:
        new = f"new.{quote(column)}" if has_alias else f"VALUES({quote(column)})"
        return f"{table}{quote(column)}", new

    for name, column in columns.items():
        old, value = pair(column)[0], _kept_value(rule, name, pair, columns)
        if rule.final is not None:
            final = f"{table}{quote(columns[rule.final[0]])} = '{rule.final[1]}'"
            value = f"IF({final}, {old}, {value})"
        changes.append(f"{quote(column)} = {value}")
    return f"{'AS new ' if has_alias else ''}ON DUPLICATE KEY UPDATE {', '.join(changes)}"
