"""What is written of a record: plain values by column, the same columns for each."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any

from django.utils.timezone import is_naive, make_aware
from kombu.utils.encoding import safe_repr

from django_celery_results.codec import codings_for, recode
from django_celery_results.exceptions import ResultUnavailable, ResultUnreadable, StorageError
from django_celery_results.records import split_encoding

if TYPE_CHECKING:
    from django_celery_results.records import (
        Contents,
        ExpiryBatch,
        GroupRecord,
        ReadStored,
        StoredGroup,
        StoredTask,
        TaskRecord,
    )

__all__ = ["DATES", "GROUP_COLUMNS", "TASK_COLUMNS", "VALUES", "plain", "rows_of"]

FACTS = (
    "task_id",
    "name",
    "status",
    "worker",
    "periodic_task_name",
    "retries",
    "queue",
    "stamps",
    "group_id",
    "parent_id",
)
DATES = ("date_created", "date_started", "date_done")
#: Bits of the integers that every reader has.
INT64 = 64
#: Columns that may have a value of any kind.
VALUES = ("result", "args", "kwargs", "meta", "stamps", "stored")
#: How it was stored; and where it cannot be read, why not and the texts as they were.
ENCODING = ("content_type", "content_encoding", "unreadable", "stored")
DECODED = ("result", "args", "kwargs", "meta", "traceback")

TASK_COLUMNS = (*FACTS, *DATES, *DECODED, *ENCODING)
GROUP_COLUMNS = ("group_id", "date_done", "result", *ENCODING)


def rows_of(batch: ExpiryBatch) -> Iterator[dict[str, Any]]:
    """Yield what is to be written of each record of ``batch``.

    Raises :class:`ResultUnavailable` for one that could be read at another time, and
    :class:`StorageError` where the storage does not show its records.
    """
    read = batch.read
    if read is None or len(batch.records) < len(batch.ids):
        raise StorageError(
            f"storage {batch.storage!r} does not show what is about to expire, so it cannot be "
            "archived; to let it go, add 'archive' to DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']"
        )
    columns = TASK_COLUMNS if batch.kind == "task" else GROUP_COLUMNS
    for stored in batch.records:
        record, unreadable = _decoded(stored, read)
        contents = _contents(stored.contents, unreadable)
        values = {name: getattr(record, name, None) for name in columns} | contents
        yield {name: _column(name, value) for name, value in values.items()}


def _decoded(
    stored: StoredTask | StoredGroup, read: ReadStored
) -> tuple[TaskRecord | GroupRecord | StoredTask | StoredGroup, str | None]:
    """Return the record, or the stored one itself and why it cannot be read."""
    try:
        return read(stored), None
    except ResultUnavailable:
        raise
    except ResultUnreadable as error:
        return stored, str(error)


def _contents(contents: Contents, unreadable: str | None) -> dict[str, Any]:
    if unreadable is not None:
        contents = _whole(contents)
    return {
        "content_type": contents.content_type,
        "content_encoding": contents.content_encoding,
        "unreadable": unreadable,
        "stored": None if unreadable is None else contents.fields,
    }


def _whole(contents: Contents) -> Contents:
    """Return the contents with what a coding has put elsewhere: it goes when the row goes.

    Raises :class:`ResultUnavailable` where that could be had at another time.
    """
    applied = split_encoding(contents.content_encoding)[1]
    codings = codings_for(contents)
    kept = len(applied)
    while kept and (coding := codings.get(applied[kept - 1])) and coding.renew is not None:
        kept -= 1
    if kept == len(applied):
        return contents
    try:
        return recode(contents, kept, (), codings)
    except ResultUnavailable:
        raise
    except ResultUnreadable:
        return contents


def _column(name: str, value: Any) -> Any:
    return _in_utc(value) if name in DATES and value is not None else plain(value)


def _in_utc(moment: datetime) -> datetime:
    # Without USE_TZ they are in the site's own zone.
    return (make_aware(moment) if is_naive(moment) else moment).astimezone(timezone.utc)


# -- Values --------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: what it has not as text, whatever it is.

    Nothing in a result may keep the others of its batch from being written.
    """
    try:
        return _plain(value)
    except Exception:  # noqa: BLE001 - anything may go wrong in what somebody's pickle made
        return _text(safe_repr(value))


def _plain(value: Any) -> Any:
    for kinds, make in KINDS:
        if isinstance(value, kinds):
            return make(value)
    return _text(str(value))


def _number(value: float) -> float | str:
    # What readers of JSON have no number for, or not all of its digits.
    fits = value.bit_length() < INT64 if isinstance(value, int) else math.isfinite(value)
    return value if fits else str(value)


def _list(values: Iterable[Any]) -> list[Any]:
    return [_plain(one) for one in values]


def _set(values: Iterable[Any]) -> list[Any]:
    # In an order, so that a batch that is written again makes the same file.
    return sorted(_list(values), key=repr)


def _mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {_text(str(name)): _plain(one) for name, one in values.items()}


def _exception(error: BaseException) -> dict[str, Any]:
    """Return what Celery's own serializers keep of an exception."""
    kind = type(error)
    return {
        "exc_type": kind.__qualname__,
        "exc_module": kind.__module__,
        "exc_message": _list(error.args),
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _text(text: str) -> str:
    """Return ``text`` with what UTF-8 has no bytes for as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


#: What is made of each kind of value; of any other, its text.
KINDS: Sequence[tuple[tuple[type, ...], Callable[[Any], Any]]] = (
    ((str,), _text),
    ((bool, type(None)), lambda value: value),
    ((int, float), _number),
    ((Mapping,), _mapping),
    ((list, tuple), _list),
    ((set, frozenset), _set),
    ((BaseException,), _exception),
    ((bytes, bytearray, memoryview), _base64),
    ((date, time), lambda value: value.isoformat()),
)
