"""A plugin's own settings: declared once, then read, and checked at start.

They stand under the plugin's name in ``DJANGO_CELERY_RESULTS``. A plugin declares them
as a class and makes one instance of it::

    class GreetingOptions(PluginOptions):
        plugin = "greeting"
        check_prefix = "greeting"

        words: Option[str] = Option(text, default="Hello", check="E002")

    options = GreetingOptions()  # reads DJANGO_CELERY_RESULTS["greeting"]["WORDS"]

``options.words`` then is what the setting says, and ``options.check()`` what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, ClassVar, Generic, TypeVar, overload

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name for it
from django.core.files.storage import storages

from .conf import results_settings
from .exceptions import BackendMisconfigured

__all__ = [
    "Option",
    "PluginOptions",
    "boolean",
    "names",
    "require_known",
    "seconds",
    "storage_alias",
    "text",
    "whole_number",
]

T = TypeVar("T")

OPTIONS = "DJANGO_CELERY_RESULTS"
_REQUIRED: Any = object()


class Option(Generic[T]):
    """One setting, whose key is the attribute's name in capitals.

    ``read`` is given the value as written and returns what the plugin works with; it
    raises ``ValueError`` with what the value has to be, such as ``"a whole number"``.
    An option without a ``default`` has to be set. ``check`` ends the id of the system
    check that reports a wrong value: ``"E002"`` and so on. No message ever shows the
    value of one that is ``secret``.
    """

    def __init__(
        self,
        read: Callable[[object], T],
        *,
        check: str,
        default: T = _REQUIRED,
        secret: bool = False,
    ) -> None:
        self.read = read
        self.check = check
        self.default = default
        self.secret = secret

    def __set_name__(self, owner: type[PluginOptions], name: str) -> None:
        self.key = name.upper()

    @overload
    def __get__(self, instance: None, owner: type[PluginOptions]) -> Option[T]: ...

    @overload
    def __get__(self, instance: PluginOptions, owner: type[PluginOptions]) -> T: ...

    def __get__(self, instance: PluginOptions | None, owner: type[PluginOptions]) -> Option[T] | T:
        return self if instance is None else self.value(owner.plugin)

    def value(self, plugin: str) -> T:
        """Return the setting's value, or its default.

        Raises :class:`~django_celery_results.exceptions.BackendMisconfigured` for a
        wrong value, and for none where there is no default.
        """
        written = results_settings.plugin_options(plugin).get(self.key)
        if written is None and self.default is not _REQUIRED:
            return self.default
        try:
            return self.read(written)
        except ValueError as error:
            shown = "wrong (it is secret, and not shown)" if self.secret else repr(written)
            found = "not set" if written is None else shown
            raise BackendMisconfigured(
                f"{OPTIONS}[{plugin!r}][{self.key!r}] is {found}; it has to be {error}."
            ) from error


class PluginOptions:
    """The settings of one plugin; a subclass has an :class:`Option` for each."""

    #: The plugin's name: the key in ``DJANGO_CELERY_RESULTS``.
    plugin: ClassVar[str]
    #: What the ids of its system checks begin with, such as the name of its package.
    check_prefix: ClassVar[str]

    def check(self) -> Iterator[CheckMessage]:
        """Yield what is wrong with the settings: what ``check_settings`` is to return.

        ``E001`` is reported for what is no dict, and ``W001`` for a key that is no option.
        """
        written = results_settings.options.get(self.plugin, {})
        if not isinstance(written, Mapping):
            secret = any(option.secret for option in self.declared().values())
            found = type(written).__name__ if secret else repr(written)
            message = f"{OPTIONS}[{self.plugin!r}] is {found}, not a dict of options."
            yield Error(message, id=f"{self.check_prefix}.E001")
            return
        declared = self.declared()
        for option in declared.values():
            try:
                option.value(self.plugin)
            except BackendMisconfigured as error:
                yield Error(str(error), id=f"{self.check_prefix}.{option.check}")
        for key in written:
            if key not in declared:
                closest = get_close_matches(str(key), declared, n=1) or sorted(declared)
                yield Warning(
                    f"{OPTIONS}[{self.plugin!r}][{key!r}] is no setting of that plugin.",
                    hint=f"Did you mean {' or '.join(map(repr, closest))}?",
                    id=f"{self.check_prefix}.W001",
                )

    def declared(self) -> Mapping[str, Option[Any]]:
        """Return the options by their keys."""
        found = [one for kind in type(self).__mro__ for one in vars(kind).values()]
        return {one.key: one for one in found if isinstance(one, Option)}


# -- What values have to be ----------------------------------------------------------


def whole_number(least: int, most: int | None = None) -> Callable[[object], int]:
    """Return what reads a whole number within these bounds."""
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
        # More than a timedelta holds, infinity as well, is no time that anybody meant.
        with suppress(OverflowError):
            return timedelta(seconds=number).total_seconds()
    raise ValueError("a timedelta, or seconds, not below zero")


def require_known(kind: str, given: Iterable[str], valid: Iterable[str], where: str) -> None:
    """Raise :class:`BackendMisconfigured` for the first of ``given`` that is not in ``valid``."""
    valid = sorted(valid)
    for name in given:
        if name not in valid:
            closest = get_close_matches(name, valid, n=1)
            hint = f" Did you mean {closest[0]!r}?" if closest else ""
            listed = ", ".join(valid) or "none"
            raise BackendMisconfigured(
                f"{name!r} in {where} is not a valid {kind}.{hint} Valid: {listed}."
            )
