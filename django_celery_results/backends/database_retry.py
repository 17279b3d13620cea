"""What has to be done before a database is asked again: or why it is not asked again."""

from __future__ import annotations

import logging
from traceback import walk_tb

from django.db.backends.base.base import BaseDatabaseWrapper

from ..notes import annotate
from .database_errors import Trouble, connection_of, trouble_of

__all__ = ["prepare_retry"]

logger = logging.getLogger(__name__)


def prepare_retry(error: Exception, usual: BaseDatabaseWrapper | None = None) -> bool:
    """Return whether what raised ``error`` may be tried again, and make ready for it.

    A connection that is lost is closed, and no other; the next query opens a new one.
    Inside a transaction of the caller's nothing may be repeated, because what came
    before is lost with it: a note on the error says so. ``usual`` is the connection
    that is meant when the error does not tell which one raised it.
    """
    trouble = trouble_of(error)
    connection = connection_of(error) or usual
    if trouble is None or connection is None:
        return False
    if in_transaction(connection) and not _had_ended(error):
        _explain(error, connection.alias)
        return False
    annotate(error, f"on the database {connection.alias!r}")
    if trouble is Trouble.CONNECTION:
        _give_up(connection)
    return True


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the caller has a transaction open, also one without autocommit."""
    is_open = connection.connection is not None
    return connection.in_atomic_block or (is_open and not connection.autocommit)


def _had_ended(error: Exception) -> bool:
    """Return whether the transaction was over, and Django could not turn autocommit on again.

    It does so at the end of a transaction that it began itself, here within the call.
    """
    ending = BaseDatabaseWrapper.set_autocommit.__code__
    return any(frame.f_code is ending for frame, _ in walk_tb(error.__traceback__))


def _explain(error: Exception, alias: str) -> None:
    note = (
        f"not tried again, because a transaction is open on the database {alias!r}, and with "
        "it what was done before would be lost. Store outside of the transaction, or "
        "through another alias with using="
    )
    # Celery, which asks too, hears the same answer: it is logged once.
    if annotate(error, note):
        logger.warning("%s: %s: %s", type(error).__name__, error, note)


def _give_up(connection: BaseDatabaseWrapper) -> None:
    # Django's pool of connections to PostgreSQL.
    pool = getattr(connection, "pool", None)
    if pool is not None and connection.connection is not None:
        # It may still be open, on a server that is no longer the primary: the pool must
        # not hand it out again.
        connection.connection.close()
    connection.close()
    if pool is not None:
        # What broke one has broken the others too.
        pool.check()
