"""Mark values that JSON cannot represent, as ``kombu.utils.json`` does, and unmark them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from kombu.utils.json import JSONEncoder, object_hook

__all__ = ["TYPE", "VALUE", "MarkingEncoder", "marked", "unmarked"]

#: The keys of a dict that represents a value of another type.
TYPE, VALUE = "__type__", "__value__"
KEYS = {TYPE, VALUE}

#: Types inside a dataclass or Struct that Kombu marks, not msgspec.
MARKED_BY_KOMBU = (bytes, datetime, date, time, Decimal, UUID)

CONTAINERS = frozenset({dict, list})


class MarkingEncoder(JSONEncoder):
    """Kombu's JSON encoder, which also writes dataclasses and Structs as plain data."""

    def default(self, o: Any) -> Any:
        """Return the plain data for ``o``; raise ``TypeError`` if there is none."""
        try:
            return super().default(o)
        except TypeError as error:
            if isinstance(o, msgspec.Struct) or (is_dataclass(o) and not isinstance(o, type)):
                return msgspec.to_builtins(
                    o, builtin_types=MARKED_BY_KOMBU, enc_hook=super().default
                )
            raise TypeError(
                f"an object of {type(o)} cannot be serialized; convert it to plain data, "
                f"or register its type with kombu.utils.json.register_type"
            ) from error


_encoder = MarkingEncoder()


# -- Marking -------------------------------------------------------------------------


def marked(value: Any, leaves: frozenset[type]) -> Any:
    """Return ``value`` made of dicts, lists, finite floats and ``leaves`` only.

    Most values already are, and are returned unchanged. Raises ``OverflowError`` for NaN
    or an infinite float, and ``TypeError`` for a type that cannot be marked.
    """
    return value if _is_plain(value, leaves) else _marked(value, leaves)


def _is_plain(value: Any, leaves: frozenset[type]) -> bool:
    """Return whether there is nothing to mark; for a large value, this check takes most time."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) not in leaves and not _is_plain(item, leaves):
                return False
        return True
    if kind is list or kind is tuple:
        for item in value:  # noqa: SIM110 - all() takes twice as long
            if type(item) not in leaves and not _is_plain(item, leaves):
                return False
        return True
    # Infinity minus itself is NaN, and so is NaN minus itself; a finite float minus itself is 0.
    return kind in leaves or (kind is float and not value - value)


def _marked(value: Any, leaves: frozenset[type]) -> Any:
    kind = type(value)
    if kind in leaves:
        return value
    if kind in MARKS:
        return {TYPE: MARKS[kind][0], VALUE: MARKS[kind][1](value)}
    if isinstance(value, dict):
        return {_key(key): _marked(item, leaves) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item, leaves) for item in value]
    for base, plain in SCALARS.items():
        if isinstance(value, base):
            return plain(value)
    return _marked(_encoder.default(value), leaves)


def _key(key: Any) -> str:
    """Return a dict's key as Python's JSON encoder writes it."""
    if type(key) is str:
        return key
    written: str = next(iter(json.loads(json.dumps({key: None}))))
    return written


def _finite(value: float) -> float:
    if value - value:
        raise OverflowError("the float is NaN or infinite")
    return float.__float__(value)


#: Kombu's marks for the commonest types, because calling Kombu takes several times as long.
MARKS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    Decimal: ("decimal", str),
    UUID: ("uuid", lambda one: {"hex": one.hex}),
}

#: How JSON writes subclasses of its own types, which may override the usual methods.
SCALARS: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__int__,
    float: _finite,
}


# -- Unmarking -----------------------------------------------------------------------


def unmarked(value: Any) -> Any:
    """Return a freshly decoded ``value`` with its marks replaced by the values they represent.

    Dicts and lists are changed in place. Raises ``ValueError`` for a mark that Kombu does
    not know.
    """
    if type(value) not in CONTAINERS:
        return value
    if type(value) is dict and len(value) == len(KEYS) and value.keys() == KEYS:
        return _meant(value)
    for place, item in value.items() if type(value) is dict else enumerate(value):
        if type(item) in CONTAINERS:
            value[place] = unmarked(item)
    return value


def _meant(mark: dict[str, Any]) -> Any:
    if mark[TYPE] in READERS:
        return READERS[mark[TYPE]](mark[VALUE])
    return object_hook({**mark, VALUE: unmarked(mark[VALUE])})


#: How Kombu reads the values marked by ``MARKS``.
READERS: dict[str, Callable[[Any], Any]] = {
    "datetime": datetime.fromisoformat,
    "date": lambda text: datetime.fromisoformat(text).date(),
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": lambda fields: UUID(**fields),
}
