"""The clock by which rows are dated: that of the database, where it has one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import DateTimeField, Func, Value
from django.utils import timezone

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseNow", "has_clock"]


def has_clock(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the database tells the time, and as Django keeps dates in it.

    SQLite is part of this process and has no clock but this process's. MySQL can tell the
    time in UTC whatever the zone of its session; dates may be kept in another one
    (``TIME_ZONE`` in ``DATABASES``, or ``USE_TZ = False``).
    """
    if connection.vendor == "mysql":
        return bool(connection.timezone_name == "UTC")
    return connection.vendor == "postgresql"


class DatabaseNow(Func):
    """The time at which the statement runs, by the database's clock if it has one.

    Django's ``Now`` is in the zone of the session on MySQL, which Django leaves as it is.
    """

    output_field = DateTimeField()

    def as_sql(self, compiler: Any, *_: Any, **_extra: Any) -> Any:
        """Compile to this process's time."""
        return compiler.compile(Value(timezone.now(), output_field=self.output_field))

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compile to the time of the statement, which is not that of the transaction."""
        return super().as_sql(compiler, connection, template="STATEMENT_TIMESTAMP()")

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper) -> Any:
        """Compile to the time in UTC, if dates are kept so."""
        if not has_clock(connection):
            return self.as_sql(compiler, connection)
        return super().as_sql(compiler, connection, template="UTC_TIMESTAMP(6)")
