"""The clock that dates rows: the database's, if it has one, or else this process's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import DateTimeField, Func, Value
from django.utils import timezone

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseNow", "has_clock"]


def has_clock(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the database can tell the time in the zone in which Django stores dates.

    SQLite runs in this process and uses its clock. MySQL can tell the time in UTC, whatever
    the zone of its session, but Django may store dates in another zone (``TIME_ZONE`` in
    ``DATABASES``, or ``USE_TZ = False``).
    """
    if connection.vendor == "mysql":
        return bool(connection.timezone_name == "UTC")
    return connection.vendor == "postgresql"


class DatabaseNow(Func):
    """The time at which the statement runs, by the database's clock if it has one.

    It replaces Django's ``Now``, which on MySQL is in the zone of the session; Django does not
    set that zone.
    """

    output_field = DateTimeField()

    def as_sql(self, compiler: Any, *_: Any, **_extra: Any) -> Any:
        """Compile to this process's time."""
        return compiler.compile(Value(timezone.now(), output_field=self.output_field))

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compile to the time when the statement, not the transaction, began."""
        return super().as_sql(compiler, connection, template="STATEMENT_TIMESTAMP()")

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compile to the time in UTC, if Django stores dates in UTC."""
        if not has_clock(connection):
            return self.as_sql(compiler, connection)
        return super().as_sql(compiler, connection, template="UTC_TIMESTAMP(6)")
