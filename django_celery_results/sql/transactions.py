"""Writes that outlast the caller's transaction, whichever way it ends.

A message that is sent inside a transaction is on its way whatever becomes of the transaction.
:func:`outlast` writes what the receivers of the message will look for.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import Error, connections, transaction

from ..logs import described
from .django_internals import beside, is_in_test_case

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["outlast"]

logger = logging.getLogger(__name__)

#: Databases that accept a second writer beside an open transaction, by vendor, and a query
#: whose answer tells whether a table's name means the same table on two connections.
PLACES = {
    "postgresql": "SELECT current_database(), current_schemas(false)::text",
    "mysql": "SELECT DATABASE()",
}


def outlast(
    alias: str,
    write: Callable[[], bool],
    late: Callable[[], object] | None = None,
    *,
    what: str,
) -> bool:
    """Call ``write`` so that its outcome survives a roll-back of the caller's transaction.

    ``write`` uses the database ``alias``, and returns whether it changed anything. Inside a
    transaction on PostgreSQL, MariaDB or MySQL, it gets a connection of its own, so everybody
    sees its outcome at once. SQLite has only one writer at a time. There, ``write`` takes part
    in the transaction, and is called again if that is rolled back. Once the transaction has
    ended, ``late`` is called, because others may have looked for the outcome in vain.
    ``what`` names what is written, for the log.

    The transaction around a test of Django's ``TestCase`` always takes part: a row written
    beside it would survive the test.
    """
    usual = connections[alias]
    if not usual.in_atomic_block and usual.get_autocommit():
        return write()
    in_test = is_in_test_case(usual)
    if usual.vendor in PLACES and not in_test:
        with beside(alias) as own:
            if _reach_the_same(usual, own, what):
                return write()
    written = write()
    # Without autocommit, Django does not tell how a transaction ends.
    if written and usual.in_atomic_block:
        _watch(_Write(alias, write, late, what, in_test=in_test), undone=False)
    return written


def _reach_the_same(usual: BaseDatabaseWrapper, own: BaseDatabaseWrapper, what: str) -> bool:
    """Return whether ``own`` can connect, and finds the tables that ``usual`` finds."""
    try:
        place = _place(own)
        # A transaction that is due for rollback answers no query.
        return usual.needs_rollback or bool(_place(usual) == place)
    except Error as error:
        logger.warning(
            "No second connection to the database %r could be used for %s (%s). It is written "
            "in the transaction, and again if that is rolled back",
            usual.alias,
            what,
            described(error),
        )
        return False


def _place(connection: BaseDatabaseWrapper) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(PLACES[connection.vendor])
        return cursor.fetchone()


@dataclass(frozen=True)
class _Write:
    """A write in the caller's transaction; the fields are those of :func:`outlast`."""

    alias: str
    write: Callable[[], bool]
    late: Callable[[], object] | None
    what: str
    in_test: bool

    def finish(self, *, undone: bool) -> None:
        """Write again what was ``undone``, and call what is to be called late."""
        if undone:
            self.write()
        if self.late is not None:
            self.late()


def _watch(one: _Write, *, undone: bool) -> None:
    """Finish the write once the transaction has ended; ``undone``: a savepoint undid it."""

    def committed() -> None:
        rolled_back.detach()
        one.finish(undone=undone)

    # Django drops the callbacks of what it rolls back, and calls nothing then.
    rolled_back = weakref.finalize(committed, _rolled_back, one)
    rolled_back.atexit = False
    transaction.on_commit(committed, using=one.alias, robust=True)


def _rolled_back(one: _Write) -> None:
    if connections[one.alias].in_atomic_block:
        # Only a savepoint was rolled back; the transaction around it still holds its locks.
        _watch(one, undone=True)
    elif not one.in_test:
        # Django is still at work on the usual connection.
        try:
            with beside(one.alias):
                one.finish(undone=True)
        except Exception:
            message = "A transaction that was rolled back contained %s, which could not be saved"
            logger.exception(message, one.what)
