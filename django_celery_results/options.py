"""Settings that are declared once, then read with their type and checked at start.

A plugin's settings are under its name in ``DJANGO_CELERY_RESULTS``. The plugin declares
them in a class and makes one instance of it::

    class GreetingOptions(PluginOptions):
        plugin = "greeting"
        check_prefix = "greeting"

        words: Option[str] = Option(text, default="Hello", check="E002")

    options = GreetingOptions()  # reads DJANGO_CELERY_RESULTS["greeting"]["WORDS"]

``options.words`` is then the setting's value, and ``options.check()`` yields an error for each
wrong value.
The core declares its own settings in the same way, in ``django_celery_results.conf``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, TypeVar, overload

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name for it
from django.core.files.storage import storages

__all__ = [
    "Option",
    "PluginOptions",
    "boolean",
    "names",
    "require_known",
    "seconds",
    "seconds_above_zero",
    "storage_alias",
    "text",
    "whole_number",
]

T = TypeVar("T")

OPTIONS = "DJANGO_CELERY_RESULTS"
_REQUIRED: Any = object()


class Option(Generic[T]):
    """One setting, whose key is the attribute's name in capitals.

    ``read`` takes the value as written and returns the value that the plugin works with. For a
    wrong value it raises ``ValueError`` with a description of a right one, such as
    ``"a whole number"``. An option without a ``default`` has to be set. ``check`` is the end of
    the id of the system check that reports a wrong value: ``"E002"`` and so on. No message ever
    shows the value of a ``secret`` option. ``doc`` says in a few words what the setting does.
    """

    def __init__(
        self,
        read: Callable[[object], T],
        *,
        check: str,
        default: T = _REQUIRED,
        secret: bool = False,
        doc: str = "",
    ) -> None:
        self.read = read
        self.check = check
        self.default = default
        self.secret = secret
        self.doc = doc

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.key = name.upper()

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Option[T]: ...

    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...

    def __get__(self, instance: object, owner: type[Any]) -> Option[T] | T:
        return self if instance is None else self.value(owner.plugin)

    def value(self, plugin: str) -> T:
        """Return the setting's value, or its default.

        Raises :class:`~django_celery_results.exceptions.BackendMisconfigured` for a
        wrong value, and for a missing value of an option without a default.
        """
        path = (OPTIONS, plugin, self.key)
        try:
            return self.value_at(path)
        except ValueError as error:
            # Imported here because it imports Celery, and reading the core's settings must not.
            from .exceptions import BackendMisconfigured

            raise BackendMisconfigured(self.refusal(path, error)) from error

    def value_at(self, path: tuple[str, ...]) -> T:
        """Return the value at ``path`` or the default; raise the reader's ``ValueError``.

        The path is the name of a Django setting and the keys that lead to the value.
        """
        written = written_at(path)
        if written is None and self.default is not _REQUIRED:
            return self.default
        return self.read(written)

    def refusal(self, path: tuple[str, ...], error: ValueError) -> str:
        """Return the message for the value at ``path``, which the reader refused with ``error``."""
        written = written_at(path)
        shown = "wrong (it is secret, and not shown)" if self.secret else repr(written)
        found = "not set" if written is None else shown
        return f"{named(path)} is {found}; it has to be {error}."

    @property
    def wanted(self) -> str:
        """The description of a right value, taken from the reader's error."""
        try:
            self.read(object())
        except ValueError as error:
            return str(error)
        return "any value"


class PluginOptions:
    """The settings of one plugin; a subclass declares an :class:`Option` for each."""

    #: The plugin's name: the key in ``DJANGO_CELERY_RESULTS``.
    plugin: ClassVar[str]
    #: The beginning of the ids of its system checks, such as the name of its package.
    check_prefix: ClassVar[str]

    def check(self) -> Iterator[CheckMessage]:
        """Yield an error for each wrong setting; a plugin returns them from ``check_settings``.

        ``E001`` reports settings that are not a dict, and the warning ``W001`` an unknown key.
        """
        written = options_dict().get(self.plugin, {})
        if not isinstance(written, Mapping):
            secret = any(option.secret for option in self.declared().values())
            found = type(written).__name__ if secret else repr(written)
            message = f"{named((OPTIONS, self.plugin))} is {found}, not a dict of options."
            yield Error(message, id=f"{self.check_prefix}.E001")
            return
        declared = self.declared()
        yield from wrong_values(
            (((OPTIONS, self.plugin, key), option) for key, option in declared.items()),
            self.check_prefix,
        )
        for key in written:
            if key not in declared:
                closest = get_close_matches(str(key), declared, n=1) or sorted(declared)
                yield Warning(
                    f"{named((OPTIONS, self.plugin, key))} is not a setting of that plugin.",
                    hint=f"Did you mean {' or '.join(map(repr, closest))}?",
                    id=f"{self.check_prefix}.W001",
                )

    def declared(self) -> Mapping[str, Option[Any]]:
        """Return the options by their keys."""
        return {one.key: one for one in declared_in(type(self))}


# -- How options are found, read and checked -----------------------------------------


def declared_in(group: type[object]) -> Iterator[Option[Any]]:
    """Yield the options that a class and its bases declare."""
    for kind in group.__mro__:
        yield from (one for one in vars(kind).values() if isinstance(one, Option))


def wrong_values(
    options: Iterable[tuple[tuple[str, ...], Option[Any]]], check_prefix: str
) -> Iterator[Error]:
    """Yield an error for each wrong value; ``options`` are pairs of a path and its option."""
    for path, option in options:
        try:
            option.value_at(path)
        except ValueError as error:
            yield Error(option.refusal(path, error), id=f"{check_prefix}.{option.check}")


def options_dict() -> Mapping[str, Any]:
    """Return ``DJANGO_CELERY_RESULTS`` as written, empty if it is missing or not a dict."""
    written = written_at((OPTIONS,))
    return written if isinstance(written, Mapping) else {}


def written_at(path: tuple[str, ...]) -> Any:
    """Return the value at ``path`` as written, ``None`` if it is not set."""
    written = getattr(settings, path[0], None)
    for key in path[1:]:
        written = written.get(key) if isinstance(written, Mapping) else None
    return written


def named(path: tuple[object, ...]) -> str:
    """Return ``path`` as messages show it: ``SETTING['key']['KEY']``."""
    setting, *keys = path
    return f"{setting}{''.join(f'[{key!r}]' for key in keys)}"


# -- Readers of values ---------------------------------------------------------------


def whole_number(least: int, most: int | None = None) -> Callable[[object], int]:
    """Return a reader of whole numbers within these bounds, both included."""
    bounds = f"of {least} or more" if most is None else f"from {least} to {most}"

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            value = None
        if value is not None and value >= least and (most is None or value <= most):
            return value
        raise ValueError(f"a whole number {bounds}")

    return read


def boolean(value: object) -> bool:
    """Read ``True`` or ``False``."""
    if isinstance(value, bool):
        return value
    raise ValueError("True or False")


def text(value: object) -> str:
    """Read a string that is not empty."""
    if isinstance(value, str) and value:
        return value
    raise ValueError("a string that is not empty")


def names(value: object) -> tuple[str, ...]:
    """Read a list or tuple of strings."""
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise ValueError("a list of strings")


def storage_alias(value: object) -> str:
    """Read the alias of one of Django's ``STORAGES``."""
    if isinstance(value, str) and value in storages.backends:
        return value
    raise ValueError(f"one of STORAGES: {', '.join(map(repr, sorted(storages.backends)))}")


def seconds(value: object) -> float:
    """Read a ``timedelta`` or a number of seconds, not below zero."""
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, (int, float)) and not isinstance(number, bool) and number >= 0:
        # A number that a timedelta cannot hold, such as infinity, is surely a mistake.
        with suppress(OverflowError):
            return timedelta(seconds=number).total_seconds()
    raise ValueError("a timedelta, or seconds, not below zero")


def seconds_above_zero(value: object) -> float:
    """Read a ``timedelta`` or a number of seconds, above zero."""
    with suppress(ValueError):
        if number := seconds(value):
            return number
    raise ValueError("a timedelta, or seconds, above zero")


def require_known(kind: str, given: Iterable[str], valid: Iterable[str], where: str) -> None:
    """Raise :class:`BackendMisconfigured` for the first of ``given`` that is not in ``valid``."""
    valid = sorted(valid)
    for name in given:
        if name not in valid:
            closest = get_close_matches(name, valid, n=1)
            hint = f" Did you mean {closest[0]!r}?" if closest else ""
            listed = ", ".join(valid) or "none"
            from .exceptions import BackendMisconfigured

            raise BackendMisconfigured(
                f"{name!r} in {where} is not a valid {kind}.{hint} Valid: {listed}."
            )
