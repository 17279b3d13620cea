"""Pickled exceptions that stay readable where their class is missing or refuses to be rebuilt.

A worker's failure is read by other processes, which may lack the module of the exception's class,
or have another version of it. With a text serializer Celery then makes up a class of that name.
This module does the same for pickle: everything that can be rebuilt is, and a class made by
:meth:`.TaskFailed.like` stands for the rest.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from kombu.utils.encoding import str_to_bytes

from ..exceptions import TaskFailed

__all__ = ["Portable", "packed", "read_failure", "unpacked"]

#: Packages whose exceptions every reader has.
EVERYWHERE = frozenset({"builtins", "billiard", "celery", "kombu"})
#: Types of arguments that every reader has.
SIMPLE = frozenset({bool, bytes, float, int, str, type(None)})


class _TolerantUnpickler(pickle.Unpickler):
    """Makes exceptions of classes that stand for the real ones, which it does not need."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the class or function, or a class that stands for it."""
        try:
            found = super().find_class(module, name)
        except (AttributeError, ImportError):
            return TaskFailed.like(module, name)
        if isinstance(found, type):
            is_safe = module.partition(".")[0] in EVERYWHERE or not issubclass(found, BaseException)
            return found if is_safe else TaskFailed.like(module, name)
        return _tolerant(found, module, name)


def _tolerant(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except (Exception, SystemExit):  # noqa: BLE001 - it is a site's, and may raise anything
            return TaskFailed.like(module, name)(*args)

    return call


def read_failure(pickled: str | bytes) -> BaseException | None:
    """Return the exception in ``pickled``, which pickle could not rebuild as it is.

    Returns ``None`` if the content is not the pickle of an exception.
    """
    try:
        found = _TolerantUnpickler(io.BytesIO(str_to_bytes(pickled))).load()
    except (Exception, SystemExit):  # noqa: BLE001 - corrupt content raises errors of all kinds
        return None
    return found if isinstance(found, BaseException) else None


# -- Python objects, which the cache pickles -----------------------------------------


class Portable:
    """An exception that a cache can unpickle in every process, with the value it is stored with."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (pickle.dumps(self.error),)


def _load(pickled: bytes) -> BaseException:
    try:
        found: BaseException = pickle.loads(pickled)  # noqa: S301 - the cache pickles all values
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as in read_failure
        return read_failure(pickled) or TaskFailed(f"{type(error).__name__}: {error}")
    return found


def packed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a record with its exception, if it has one, made portable."""
    error = values.get("result")
    if not isinstance(error, BaseException) or _is_everywhere(error):
        return values
    return {**values, "result": Portable(error)}


def unpacked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values that were given to :func:`packed`, from a cache that does not pickle."""
    result = values.get("result")
    return {**values, "result": result.error} if isinstance(result, Portable) else values


def _is_everywhere(error: BaseException) -> bool:
    """Return whether every release and every reader can unpickle the exception."""
    is_known = type(error).__module__.partition(".")[0] in EVERYWHERE and not error.__dict__
    return is_known and all(type(one) in SIMPLE for one in error.args)
