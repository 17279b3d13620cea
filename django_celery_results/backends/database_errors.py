"""Which errors of a database may pass, by the codes of its own driver.

Django raises the same few exceptions on every database; what really happened stands in
the driver's own, which is their ``__cause__``. The tables say what the next try needs.
What is in none of them is permanent: a missing table, a refused password, a full disk,
a statement that took longer than the time that somebody gave it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from traceback import walk_tb
from typing import TYPE_CHECKING

from django.db import Error, InterfaceError, OperationalError
from django.db.utils import DatabaseErrorWrapper

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["MYSQL", "POSTGRESQL", "SQLITE", "Trouble", "connection_of", "trouble_of"]


class Trouble(Enum):
    """What went wrong where an error may pass."""

    #: The connection is gone, or leads to a server that is of no use now: take a new one.
    CONNECTION = "connection"
    #: Another transaction was in the way: the same connection will do.
    CONFLICT = "conflict"


#: By SQLSTATE, or its class: appendix A of PostgreSQL's manual, "PostgreSQL Error Codes".
POSTGRESQL: Mapping[str, Trouble] = {
    # Connection exceptions. PgBouncer, too, reports a server that it lost in this class.
    "08": Trouble.CONNECTION,
    "57P01": Trouble.CONNECTION,  # admin_shutdown: also pg_terminate_backend()
    "57P02": Trouble.CONNECTION,  # crash_shutdown
    "57P03": Trouble.CONNECTION,  # cannot_connect_now: starting, stopping or recovering
    "57P05": Trouble.CONNECTION,  # idle_session_timeout
    "25P03": Trouble.CONNECTION,  # idle_in_transaction_session_timeout
    "53300": Trouble.CONNECTION,  # too_many_connections
    "25006": Trouble.CONNECTION,  # read_only_sql_transaction: no longer the primary
    "40001": Trouble.CONFLICT,  # serialization_failure
    "40P01": Trouble.CONFLICT,  # deadlock_detected
    "55P03": Trouble.CONFLICT,  # lock_not_available: lock_timeout
}

#: A refused connection has no SQLSTATE, but a text: these of libpq, of the server and, the last
#: three, of PgBouncer are final.
POSTGRESQL_REFUSALS = (
    "authentication failed",
    "does not exist",
    "no password supplied",
    "no pg_hba.conf entry",
    "not permitted to log in",
    "permission denied",
    "certificate",
    "not currently accepting connections",
    "bouncer config error",
    "no such database",
    "no such user",
)

#: By number: "MariaDB Error Code Reference"; MySQL's "Server Error Message Reference" and
#: "Client Error Message Reference".
MYSQL: Mapping[int, Trouble] = {
    0: Trouble.CONNECTION,  # the drivers' own, for a connection that was closed
    1040: Trouble.CONNECTION,  # ER_CON_COUNT_ERROR: too many connections
    1047: Trouble.CONNECTION,  # ER_UNKNOWN_COM_ERROR: a Galera node that is not ready
    1053: Trouble.CONNECTION,  # ER_SERVER_SHUTDOWN
    1158: Trouble.CONNECTION,  # ER_NET_READ_ERROR
    1159: Trouble.CONNECTION,  # ER_NET_READ_INTERRUPTED
    1160: Trouble.CONNECTION,  # ER_NET_ERROR_ON_WRITE
    1161: Trouble.CONNECTION,  # ER_NET_WRITE_INTERRUPTED
    1203: Trouble.CONNECTION,  # ER_TOO_MANY_USER_CONNECTIONS
    1290: Trouble.CONNECTION,  # ER_OPTION_PREVENTS_STATEMENT: read_only, no longer the primary
    1836: Trouble.CONNECTION,  # ER_READ_ONLY_MODE: the same
    1927: Trouble.CONNECTION,  # ER_CONNECTION_KILLED
    2002: Trouble.CONNECTION,  # CR_CONNECTION_ERROR
    2003: Trouble.CONNECTION,  # CR_CONN_HOST_ERROR
    2005: Trouble.CONNECTION,  # CR_UNKNOWN_HOST
    2006: Trouble.CONNECTION,  # CR_SERVER_GONE_ERROR
    2013: Trouble.CONNECTION,  # CR_SERVER_LOST
    2055: Trouble.CONNECTION,  # CR_SERVER_LOST_EXTENDED
    4031: Trouble.CONNECTION,  # ER_CLIENT_INTERACTION_TIMEOUT: MySQL's, after wait_timeout
    1020: Trouble.CONFLICT,  # ER_CHECKREAD: changed since the snapshot of the transaction
    1205: Trouble.CONFLICT,  # ER_LOCK_WAIT_TIMEOUT
    1213: Trouble.CONFLICT,  # ER_LOCK_DEADLOCK
    1412: Trouble.CONFLICT,  # ER_TABLE_DEF_CHANGED: "please retry transaction"
    1637: Trouble.CONFLICT,  # ER_TOO_MANY_CONCURRENT_TRXS
    3101: Trouble.CONFLICT,  # ER_TRANSACTION_ROLLBACK_DURING_COMMIT: MySQL's group replication
}

#: By primary result code: SQLite's "Result and Error Codes".
SQLITE: Mapping[int, Trouble] = {
    5: Trouble.CONFLICT,  # SQLITE_BUSY
    6: Trouble.CONFLICT,  # SQLITE_LOCKED
}


def trouble_of(error: BaseException) -> Trouble | None:
    """Return what went wrong if ``error``, one of Django's, may pass; else ``None``.

    Where the driver is not known, what PEP 249 calls a disconnect may pass: every
    ``OperationalError`` and ``InterfaceError``.
    """
    if not isinstance(error, Error):
        return None
    cause = error.__cause__ or error
    # A subclass may stand elsewhere: psycopg's pool has its own.
    drivers = (kind.__module__.partition(".")[0] for kind in type(cause).__mro__)
    read = next((READERS[driver] for driver in drivers if driver in READERS), _unknown)
    return read(cause)


def connection_of(error: BaseException) -> BaseDatabaseWrapper | None:
    """Return the connection that raised ``error``, whichever alias it is of.

    Django turns a driver's error into its own in one place, which stands in the
    traceback and knows the connection.
    """
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is DatabaseErrorWrapper.__exit__.__code__:
            connection: BaseDatabaseWrapper = frame.f_locals["self"].wrapper
            return connection
    return None


def _postgresql(error: BaseException) -> Trouble | None:
    # "pgcode" is how psycopg2 calls it.
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if code is not None:
        return POSTGRESQL.get(code, POSTGRESQL.get(code[:2]))
    is_final = any(refusal in str(error) for refusal in POSTGRESQL_REFUSALS)
    return None if is_final else _unknown(error)


def _mysql(error: BaseException) -> Trouble | None:
    return MYSQL.get(error.args[0]) if error.args else None


def _sqlite(error: BaseException) -> Trouble | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        # The rest of an extended code says which kind of busy.
        return SQLITE.get(code & 0xFF)
    # Python 3.10 has the message alone: "database is locked", "database table is locked".
    return Trouble.CONFLICT if "is locked" in str(error) else None


def _unknown(error: BaseException) -> Trouble | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    is_disconnect = names & {OperationalError.__name__, InterfaceError.__name__}
    return Trouble.CONNECTION if is_disconnect else None


READERS: Mapping[str, Callable[[BaseException], Trouble | None]] = {
    "psycopg": _postgresql,
    "psycopg2": _postgresql,
    "MySQLdb": _mysql,
    "pymysql": _mysql,
    "sqlite3": _sqlite,
}
