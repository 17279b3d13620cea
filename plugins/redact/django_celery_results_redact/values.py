"""Values of any structure: what is in them, and copies of them with other things in it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["Change", "changed", "parts", "scalars"]

#: Given a key (``None`` where there is none) and what stands under it, returns what is to
#: stand there: the very same object where nothing changes.
Change = Callable[[object, Any], Any]


def parts(value: Any) -> Iterator[tuple[object, Any]]:
    """Yield what is in ``value``, with its key: of a dict, a pair, an object, an exception."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from zip(_keys(value), value, strict=True)
    elif isinstance(value, AbstractSet):
        yield from ((None, one) for one in value)
    elif isinstance(value, BaseException):
        yield None, value.args
        yield from vars(value).items()
    else:
        yield from ((name, getattr(value, name)) for name in _fields(value))


def scalars(value: Any, seen: frozenset[int] = frozenset()) -> Iterator[Any]:
    """Yield all that is in ``value``, at any depth, and has no parts itself."""
    inner = list(parts(value))
    if not inner:
        yield value
    elif id(value) not in seen:
        for _, one in inner:
            yield from scalars(one, seen | {id(value)})


def changed(value: Any, change: Change) -> Any:
    """Return ``value`` with the changed parts: a copy, or itself where none changed."""
    old = list(parts(value))
    new = [(key, change(key, one)) for key, one in old]
    if all(one is other for (_, one), (_, other) in zip(old, new, strict=True)):
        return value
    items = [one for _, one in new]
    if isinstance(value, Mapping):
        return _mapping(value, dict(new))
    if hasattr(value, "_make"):
        return value._make(items)
    if isinstance(value, (list, tuple, AbstractSet)):
        return _rebuilt(value, items)
    if isinstance(value, BaseException):
        return _exception(value, items[0], dict(new[1:]))
    return _object(value, {str(name): one for name, one in new})


def _keys(value: list[Any] | tuple[Any, ...]) -> list[object]:
    """Return the keys of a sequence: none, but of a pair the first is the second's."""
    names = getattr(value, "_fields", None)
    if names is not None:
        return list(names)
    is_pair = len(value) == 2 and isinstance(value[0], (str, bytes))  # noqa: PLR2004 - a pair
    return [None, value[0]] if is_pair else [None] * len(value)


def _mapping(value: Mapping[Any, Any], items: dict[Any, Any]) -> Mapping[Any, Any]:
    if type(value) is dict or not isinstance(value, dict):
        return items
    copied = copy.copy(value)
    copied.update(items)
    return copied


def _rebuilt(value: Any, items: list[Any]) -> Any:
    """Return a list, tuple or set of the same type; a list where its class does not take one."""
    try:
        return type(value)(items)
    except Exception:  # noqa: BLE001 - whatever a class of the site's own makes of it
        return items


def _exception(error: BaseException, args: Any, attributes: dict[object, Any]) -> BaseException:
    """Return an exception of the same class, which is not initialized anew."""
    copied: BaseException = type(error).__new__(type(error), *error.args)
    copied.args = args
    _with_attributes(copied, attributes)
    return copied


def _object(value: Any, attributes: dict[str, Any]) -> Any:
    if is_dataclass(value):
        return _with_attributes(copy.copy(value), attributes)
    return type(value)(**attributes)


def _with_attributes(copied: Any, attributes: Mapping[Any, Any]) -> Any:
    for name, one in attributes.items():
        # Also where the class is frozen: the copy is ours.
        object.__setattr__(copied, str(name), one)
    return copied


def _fields(value: Any) -> Sequence[str]:
    """Return the names of what is in a dataclass or a Struct of msgspec; none of other objects."""
    if isinstance(value, type):
        return ()
    if is_dataclass(value):
        return [one.name for one in fields(value)]
    names: Sequence[str] = getattr(value, "__struct_fields__", ())
    return names
