"""The rows of the archive: plain values by column, with the same columns in each row."""

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
#: Size of the integers that every reader supports, in bits.
INT64 = 64
#: Columns whose values may have any type.
VALUES = ("result", "args", "kwargs", "meta", "stamps", "stored")
#: How the contents were stored; if unreadable, also the reason and the stored texts.
ENCODING = ("content_type", "content_encoding", "unreadable", "stored")
DECODED = ("result", "args", "kwargs", "meta", "traceback")

TASK_COLUMNS = (*FACTS, *DATES, *DECODED, *ENCODING)
GROUP_COLUMNS = ("group_id", "date_done", "result", *ENCODING)


def rows_of(batch: ExpiryBatch) -> Iterator[dict[str, Any]]:
    """Yield the row for each record of ``batch``.

    Raises :class:`ResultUnavailable` for a record that may become readable later, and
    :class:`StorageError` if the storage does not provide its records.
    """
    read = batch.read
    if read is None or len(batch.records) < len(batch.ids):
        raise StorageError(
            f"storage {batch.storage!r} does not provide the records that are about to expire, so "
            "they cannot be archived; to delete them unarchived, add 'archive' to "
            "DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']"
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
    """Return the decoded record; if it is unreadable, the stored one and the reason."""
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
    """Return the contents with those from blobs, which are deleted together with the row.

    Raises :class:`ResultUnavailable` if they may become readable later.
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
    # Without USE_TZ, dates are in the site's own time zone.
    return (make_aware(moment) if is_naive(moment) else moment).astimezone(timezone.utc)


# -- Values --------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can represent it, with unsupported types as text.

    It never fails, so that no value can stop the rest of its batch from being written.
    """
    try:
        return _plain(value)
    except Exception:  # noqa: BLE001 - an unpickled object may raise anything
        return _text(safe_repr(value))


def _plain(value: Any) -> Any:
    for kinds, make in KINDS:
        if isinstance(value, kinds):
            return make(value)
    return _text(str(value))


def _number(value: float) -> float | str:
    # Not every JSON reader supports infinities, NaN or integers of more than 64 bits.
    fits = value.bit_length() < INT64 if isinstance(value, int) else math.isfinite(value)
    return value if fits else str(value)


def _list(values: Iterable[Any]) -> list[Any]:
    return [_plain(one) for one in values]


def _set(values: Iterable[Any]) -> list[Any]:
    # Sorted, so that writing the same batch again produces the same file.
    return sorted(_list(values), key=repr)


def _mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {_text(str(name)): _plain(one) for name, one in values.items()}


def _exception(error: BaseException) -> dict[str, Any]:
    """Return the parts of an exception that Celery's own serializers keep."""
    kind = type(error)
    return {
        "exc_type": kind.__qualname__,
        "exc_module": kind.__module__,
        "exc_message": _list(error.args),
    }


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _text(text: str) -> str:
    """Return ``text``, with escapes for the characters that UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


#: The conversion for each type; a value of any other type becomes text.
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
