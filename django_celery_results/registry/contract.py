"""What the contract's annotations allow: the answers of each hook, and changes of its records.

The annotations of :mod:`django_celery_results.hookspecs` and of the records are the only source:
this module knows no hook by its name.
"""

from __future__ import annotations

import collections.abc
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from operator import attrgetter, is_
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from django.core.checks import CheckMessage

from .. import hookspecs, records
from ..exceptions import HookError

__all__ = ["Contract", "Record", "contract_of"]

#: The names that the annotations of the contract use, but import only for type checkers.
NAMES = {**vars(collections.abc), **vars(records), "CheckMessage": CheckMessage}


@dataclass(frozen=True)
class _Kind:
    """The values that an annotation allows; no ``classes`` allow every value."""

    classes: tuple[type, ...]
    #: The kind of each item, for a sequence.
    items: _Kind | None = None

    @classmethod
    def of(cls, annotation: Any) -> _Kind:
        """Return the kind of an evaluated annotation."""
        if get_origin(annotation) in {Union, UnionType}:
            kinds = [cls.of(one) for one in get_args(annotation)]
            known = all(kind.classes for kind in kinds)
            classes = tuple(one for kind in kinds for one in kind.classes) if known else ()
            return cls(classes, next((kind.items for kind in kinds if kind.items), None))
        origin = get_origin(annotation) or annotation
        if origin is Sequence:
            return cls((Sequence,), cls.of(*get_args(annotation)))
        return cls((origin,) if isinstance(origin, type) and origin is not Any else ())

    def __str__(self) -> str:
        names = ["None" if one is NoneType else one.__name__ for one in self.classes]
        return f"{' or '.join(names)}{', not empty' if self.is_required_text else ''}"

    @property
    def is_required_text(self) -> bool:
        """Whether the value is always a text; it may then not be empty."""
        return self.classes == (str,)

    def allows(self, value: Any) -> bool:
        """Return whether ``value`` is of this kind."""
        if inspect.iscoroutine(value):
            return False
        if not self.classes:
            return True
        if isinstance(value, (str, bytes)):
            # A text is a sequence, but never the sequence that the contract means.
            return type(value) in self.classes or (str in self.classes and isinstance(value, str))
        if not isinstance(value, self.classes):
            return False
        if self.items is None or value is None:
            return True
        items: Any = value
        return all(map(self.items.allows, items))


class Record:
    """A class of records that hooks receive and may change: which changes are allowed."""

    def __init__(self, record_class: Any) -> None:
        hints = get_type_hints(record_class)
        self.names = [one.name for one in fields(record_class)]
        self.kinds = [_Kind.of(hints[name]) for name in self.names]
        self.what = self.names[0].removesuffix("_id")
        #: Reads all fields, for :meth:`require_valid`.
        self.read: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.names)

    def require_valid(self, before: tuple[Any, ...], record: Any, where: str) -> None:
        """Raise :class:`HookError` if a field has changed since ``before`` to a wrong value.

        The first field is the record's id, which stays the same.
        """
        after = self.read(record)
        if all(map(is_, before, after)):
            return
        if before[0] != after[0]:
            raise HookError(
                f"{where} changed the id of {self.what} {before[0]!r} to {after[0]!r}; "
                "it may set any attribute except the id"
            )
        for name, kind, old, new in zip(self.names, self.kinds, before, after, strict=True):
            empty = kind.is_required_text and isinstance(new, str) and not new
            if new is not old and (empty or not kind.allows(new)):
                # The value itself may be a secret.
                given = "an empty text" if empty else f"a value of type {type(new).__name__}"
                raise HookError(
                    f"{where} set {name!r} of {self.what} {before[0]!r} to {given}; "
                    f"it must be {kind}"
                )


@dataclass(frozen=True)
class Contract:
    """What the annotations of one hook say."""

    hook: str
    #: The annotation of the answer, as text.
    text: str
    kind: _Kind
    #: The arguments that an implementation may change, by name.
    records: Mapping[str, Record]
    arguments: tuple[str, ...]

    @property
    def answers_nothing(self) -> bool:
        """Whether the hook's only valid answer is ``None``."""
        return self.kind.classes == (NoneType,)

    @property
    def iterates(self) -> bool:
        """Whether the answer may be a generator."""
        return collections.abc.Iterable in self.kind.classes


@lru_cache
def contract_of(hook: str) -> Contract:
    """Return what the contract says about ``hook``."""
    specification = getattr(hookspecs, hook)
    hints = get_type_hints(specification, localns=NAMES)
    kind, text = _Kind.of(hints.pop("return")), specification.__annotations__["return"]
    changeable = {name: _record(hint) for name, hint in hints.items() if _may_change(hint)}
    return Contract(hook, text, kind, changeable, tuple(hints))


def _may_change(hint: Any) -> bool:
    # The contract freezes each class that a plugin may not change; a frozen one has a hash.
    return is_dataclass(hint) and hint.__hash__ is None


_record = lru_cache(Record)
