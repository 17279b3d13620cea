"""Look through values of any structure, and copy them with some parts changed."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

from celery.utils.serialization import UnpickleableExceptionWrapper

from .texts import is_option

__all__ = ["ATOMS", "Change", "changed", "inside", "parts", "scalars"]

#: Takes a key (``None`` if there is none) and the value under it; returns the new value, or
#: the very same object if it does not change.
Change = Callable[[object, Any], Any]
#: The commonest types without parts, for a quick check.
ATOMS = frozenset({str, bytes, int, float, bool, type(None)})
SEQUENCES = (list, tuple, deque)


def parts(value: Any) -> Iterator[tuple[object, Any]]:
    """Yield the parts of a dict, sequence, set, object or exception, each with its key."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, SEQUENCES):
        yield from zip(_keys(value), value, strict=True)
    elif isinstance(value, AbstractSet):
        yield from ((None, one) for one in value)
    elif isinstance(value, BaseException):
        yield None, value.args
        yield from vars(value).items()
    else:
        # Skip a field that is declared but was never set.
        names = (name for name in _fields(value) if hasattr(value, name))
        yield from ((name, getattr(value, name)) for name in names)


def inside(value: Any) -> Iterator[Any]:
    """Yield ``value`` and everything in it, at any depth, each object once.

    An object that cannot be looked through is yielded as if it had no parts.
    """
    # Keep the objects themselves, so that Python cannot reuse their ids meanwhile.
    seen, waiting = {id(value): value}, [value]
    while waiting:
        one = waiting.pop()
        yield one
        new = {id(part): part for part in _parts_of(one) if id(part) not in seen}
        seen |= new
        waiting += new.values()


def scalars(value: Any) -> Iterator[Any]:
    """Yield everything without parts in ``value``, at any depth."""
    yield from (one for one in inside(value) if not _parts_of(one))


def _parts_of(value: Any) -> Sequence[Any]:
    if type(value) in ATOMS:
        return ()
    try:
        return [one for _, one in parts(value)]
    except Exception:  # noqa: BLE001 - an object of the site may raise anything
        return ()


def changed(value: Any, change: Change) -> Any:
    """Return a copy of ``value`` with the changed parts, or ``value`` itself if none changed."""
    old = list(parts(value))
    new = [(key, change(key, one)) for key, one in old]
    if all(one is other for (_, one), (_, other) in zip(old, new, strict=True)):
        return value
    items = [one for _, one in new]
    if isinstance(value, Mapping):
        return _mapping(value, dict(new))
    if hasattr(value, "_make"):
        return value._make(items)
    if isinstance(value, (*SEQUENCES, AbstractSet)):
        return _rebuilt(value, items)
    if isinstance(value, BaseException):
        return _exception(value, items[0], dict(new[1:]))
    return _object(value, {str(name): one for name, one in new})


def _keys(value: Sequence[Any]) -> list[object]:
    """Return the key of each element: ``None``, except after a name or an option.

    The first element of a pair is the key of the second; a command-line option is the
    key of the element after it.
    """
    names = getattr(value, "_fields", None)
    if names is not None:
        return list(names)
    is_pair = len(value) == 2 and isinstance(value[0], (str, bytes))  # noqa: PLR2004 - a pair
    if is_pair:
        return [None, value[0]]
    options = [one if is_option(one) else None for one in value]
    return [None, *options[:-1]] if options else []


def _mapping(value: Mapping[Any, Any], items: dict[Any, Any]) -> Mapping[Any, Any]:
    if type(value) is dict or not isinstance(value, dict):
        return items
    copied = copy.copy(value)
    copied.update(items)
    return copied


def _rebuilt(value: Any, items: list[Any]) -> Any:
    """Return a list, tuple or set of the same type, or a list if its class does not allow that."""
    try:
        return type(value)(items)
    except Exception:  # noqa: BLE001 - a class of the site may raise anything
        return items


def _exception(error: BaseException, args: Any, attributes: dict[object, Any]) -> BaseException:
    """Return a copy of an exception, without calling its ``__init__``."""
    kind = type(error)
    try:
        copied: BaseException = kind.__new__(kind, *error.args)
    except Exception:  # noqa: BLE001 - a class of the site may raise anything
        # Celery's stand-in, from which Celery later makes a class of the same name.
        return UnpickleableExceptionWrapper(kind.__module__, kind.__name__, args)
    copied.args = args
    _with_attributes(copied, attributes)
    return copied


def _object(value: Any, attributes: dict[str, Any]) -> Any:
    if not hasattr(value, "__struct_fields__"):
        return _with_attributes(copy.copy(value), attributes)
    return type(value)(**attributes)


def _with_attributes(copied: Any, attributes: Mapping[Any, Any]) -> Any:
    for name, one in attributes.items():
        # object.__setattr__ also works for a frozen class; the copy is ours to change.
        object.__setattr__(copied, str(name), one)
    return copied


def _fields(value: Any) -> Sequence[str]:
    """Return the field names of a dataclass, an attrs class or a msgspec Struct."""
    if isinstance(value, type):
        return ()
    if is_dataclass(value):
        return [one.name for one in fields(value)]
    if attributes := getattr(type(value), "__attrs_attrs__", ()):
        return [one.name for one in attributes]
    names: Sequence[str] = getattr(type(value), "__struct_fields__", ())
    return names
