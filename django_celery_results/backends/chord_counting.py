"""Counting a chord's part in one step: where it is new, and not the last one.

Of a thousand parts all but one are, so this is what a part costs. Everything else (the
last part, one that is delivered again, a chord that is not known) counts nothing here and
is told apart under a lock, by :mod:`django_celery_results.backends.database_chords`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from ..records import StoredPart
from .part_statements import Statement, counting, storing_too

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from ..records import ChordPart
    from ..upserts import Upsert

__all__ = ["count_quickly", "part_columns", "store_and_count"]


def count_quickly(using: str, part: ChordPart) -> bool:
    """Count the part if it is new and others are still to come; return whether it was."""
    connection = connections[using]
    statements = counting(connection)
    try:
        with _all_or_nothing(connection, len(statements)):
            return _count(connection, statements, part)
    except IntegrityError:
        # Delivered twice: the part is there. What else it may be, the locked way will raise.
        return False


def store_and_count(
    connection: BaseDatabaseWrapper, upsert: Upsert, row: Mapping[str, Any], part: ChordPart
) -> StoredPart | None:
    """Write ``row`` and do what :func:`count_quickly` does, in one transaction.

    Return ``None``, and do nothing, where that has to be one after the other.
    """
    if not _is_free(connection):
        # What fails of the count must not undo what the caller did before.
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
                counted = _count(connection, counting(connection), part)
    except IntegrityError:
        # Delivered twice, as a rule. The row went back with the part, and is stored by itself.
        return None
    return StoredPart(written=bool(written), counted=bool(counted))


def part_columns(part: ChordPart) -> dict[str, Any]:
    """Return the values of the row's columns, but for the counter and the date."""
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
    """Return a transaction, or what keeps an error from the one that the caller has open.

    One statement by itself is all or nothing already.
    """
    alone = count == 1 and _is_free(connection)
    return nullcontext() if alone else transaction.atomic(using=connection.alias)


def _is_free(connection: BaseDatabaseWrapper) -> bool:
    """Return whether no transaction is open."""
    return not connection.in_atomic_block and connection.get_autocommit()
