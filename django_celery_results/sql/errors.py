"""Temporary errors of a database, recognized by the codes of its driver.

Django raises the same few exceptions on every database; the driver's own exception, their
``__cause__``, says what really happened. The tables say what the next try needs. Errors
that are in none of them are permanent: a missing table, a refused password, a full disk, a
statement that took longer than its time limit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from django.db import Error, InterfaceError, OperationalError

from ..logs import annotate
from .django_internals import connection_of, is_end_of_transaction, pool_of

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = [
    "MYSQL",
    "POSTGRESQL",
    "SQLITE",
    "Trouble",
    "prepare_retry",
    "trouble_of",
]

logger = logging.getLogger(__name__)


class Trouble(Enum):
    """The cause of a temporary error."""

    #: The connection is lost, or its server cannot be used now: open a new one.
    CONNECTION = "connection"
    #: Another transaction was in the way: use the same connection again.
    CONFLICT = "conflict"


#: By SQLSTATE, or its class: appendix A of PostgreSQL's manual, "PostgreSQL Error Codes".
POSTGRESQL: Mapping[str, Trouble] = {
    # Connection exceptions. PgBouncer also reports a lost server in this class.
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

#: A refused connection has a text instead of an SQLSTATE. With these texts of libpq, of the
#: server and (the last three) of PgBouncer, the error is permanent.
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
    0: Trouble.CONNECTION,  # the drivers' own code, for a connection that was closed
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
    """Return the cause of ``error``, one of Django's, if it is temporary; else ``None``.

    If the driver is unknown, every ``OperationalError`` and ``InterfaceError`` counts as
    temporary, because PEP 249 uses these two for a disconnect.
    """
    if not isinstance(error, Error):
        return None
    cause = error.__cause__ or error
    # A subclass may be defined elsewhere: psycopg's pool has its own.
    drivers = (kind.__module__.partition(".")[0] for kind in type(cause).__mro__)
    read = next((READERS[driver] for driver in drivers if driver in READERS), _unknown)
    return read(cause)


def _postgresql(error: BaseException) -> Trouble | None:
    # psycopg2 calls it "pgcode".
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
    # Python 3.10 has only the message: "database is locked", "database table is locked".
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


# -- Trying again --------------------------------------------------------------------


def prepare_retry(error: Exception, usual: BaseDatabaseWrapper | None = None) -> bool:
    """Return whether the call that raised ``error`` may be retried, and prepare the retry.

    Only a lost connection is closed; the next query opens a new one. Inside a transaction
    of the caller's nothing may be retried, because its earlier statements are lost too: a
    note on the error says so. ``usual`` is the connection to assume when the error does
    not tell which one raised it.
    """
    trouble = trouble_of(error)
    connection = connection_of(error) or usual
    if trouble is None or connection is None:
        return False
    # Django began that transaction, within the call that failed.
    if in_transaction(connection) and not is_end_of_transaction(error):
        _explain(error, connection.alias)
        return False
    annotate(error, f"on the database {connection.alias!r}")
    if trouble is Trouble.CONNECTION:
        _give_up(connection)
    return True


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the caller has a transaction open, or is connected with autocommit off."""
    is_open = connection.connection is not None
    return connection.in_atomic_block or (is_open and not connection.autocommit)


def _explain(error: Exception, alias: str) -> None:
    note = (
        f"not tried again, because a transaction is open on the database {alias!r}, and its "
        "earlier statements would be lost. Store outside of the transaction, or through "
        "another alias with using="
    )
    # Celery asks too, and gets the same answer: log it only once.
    if annotate(error, note):
        logger.warning("%s: %s: %s", type(error).__name__, error, note)


def _give_up(connection: BaseDatabaseWrapper) -> None:
    pool = pool_of(connection)
    if pool is not None and connection.connection is not None:
        # It may still be open, on a server that is no longer the primary: the pool must
        # not hand it out again.
        connection.connection.close()
    connection.close()
    if pool is not None:
        # The cause that broke one connection has broken the others too.
        pool.check()
