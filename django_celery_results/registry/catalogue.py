"""Keeps the serializers, codings and commands that plugins contribute, by name.

Serializers are also registered with Kombu, because Celery looks them up there by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kombu import compression
from kombu.exceptions import EncodeError, SerializerNotInstalled
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from ..exceptions import BackendMisconfigured, HookError, PluginError
from ..records import Coding, Command, Serializer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

__all__ = [
    "BUILT_IN_COMMANDS",
    "FIRST_PARTY",
    "Contributions",
    "advice",
    "get_compression",
    "instead_of",
    "is_serializer",
    "kombus_name",
    "require_serializer",
]

# The stubs say that this returns only the function; it returns the content type too.
get_compression = cast(
    "Callable[[str], tuple[Callable[[bytes], bytes], str]]", compression.get_encoder
)

_T = TypeVar("_T", Serializer, Coding, Command)

#: The built-in actions of ``manage.py celery_results``; no plugin may use their names.
BUILT_IN_COMMANDS = frozenset({"plugins", "hooks", "chords", "expire", "startplugin"})

#: The distribution to install for each coding, serializer and content type of the first-party
#: plugins.
FIRST_PARTY: Mapping[str, str] = {
    "application/x-msgspec+json": "django-celery-results-msgspec",
    "application/x-msgspec+msgpack": "django-celery-results-msgspec",
    "fernet": "django-celery-results-fernet",
    "msgspec-json": "django-celery-results-msgspec",
    "msgspec-msgpack": "django-celery-results-msgspec",
    "offload": "django-celery-results-offload",
    "zstd": "django-celery-results-zstd",
}


@dataclass
class Contributions:
    """The accepted contributions of all plugins, by name."""

    serializers: dict[str, Serializer] = field(default_factory=dict)
    codings: dict[str, Coding] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    #: The codings that can decode stored contents: ``codings``, and those of disabled plugins
    #: once they have been needed.
    readers: dict[str, Coding] = field(default_factory=dict)
    #: The plugin that each serializer, coding and command came from, by kind and name.
    owners: dict[tuple[type, str], str] = field(default_factory=dict)

    def coding(self, name: str) -> Coding | None:
        """Return the coding that ``name`` selects: a plugin's, or a compression method of Kombu.

        The name of a plugin's coding never selects Kombu's method, even if the plugin is
        disabled or, for a first-party plugin, not installed: that would silently apply a
        different coding.
        """
        is_a_plugins = name in self.readers or name in FIRST_PARTY
        return self.codings.get(name if is_a_plugins else kombus_name(name) or name)

    def accept(self, manager: pluggy.PluginManager, plugin: str) -> None:
        """Add everything that ``plugin`` contributes; if any of it is wrong, raise and add nothing.

        ``manager`` has only that plugin.
        """
        serializers = _contributed(manager, "contribute_serializers", Serializer)
        codings = _contributed(manager, "contribute_codings", Coding)
        commands = _contributed(manager, "contribute_commands", Command)
        for serializer in serializers:
            self._require_free(serializer)
        others: list[Coding | Command] = [*codings, *commands]
        for one in others:
            self._require_new(one)
        for serializer in serializers:
            _register(serializer, serializer.encode)
        self.serializers.update({one.name: one for one in serializers})
        self.codings.update({one.name: one for one in codings})
        self.readers.update(self.codings)
        self.commands.update({one.name: one for one in commands})
        self.owners.update({(Serializer, one.name): plugin for one in serializers})
        self.owners.update({(type(one), one.name): plugin for one in others})

    def accept_readers(self, manager: pluggy.PluginManager, plugin: str) -> None:
        """Add the codings and serializers that decode what the disabled ``plugin`` once wrote.

        Names that an active plugin uses are left out. ``manager`` has only that plugin.
        """
        serializers = _contributed(manager, "contribute_serializers", Serializer)
        for coding in _contributed(manager, "contribute_codings", Coding):
            if self.readers.setdefault(coding.name, coding) is coding:
                self.owners[Coding, coding.name] = plugin
        for serializer in serializers:
            if not (is_serializer(serializer.name) or is_serializer(serializer.content_type)):
                _register(serializer, _refusing(plugin))
                self.serializers[serializer.name] = serializer

    def missing(self, coding: str) -> str:
        """Return the end of a message that says why the coding cannot be selected."""
        other = kombus_name(coding)
        meant = f" (if you mean Kombu's method of that name, write {other!r})" if other else ""
        if coding in self.readers:
            owner = self.owners[Coding, coding]
            return f"belongs to the plugin {owner!r}, which is disabled{meant}"
        wanted = advice(coding, "the plugin that contributes it")
        return f"is not installed; install {wanted}{meant}"

    def _require_new(self, one: Coding | Command) -> None:
        owner = self.owners.get((type(one), one.name))
        if isinstance(one, Command) and one.name in BUILT_IN_COMMANDS:
            owner = "django-celery-results"
        if owner is not None:
            kind = type(one).__name__.lower()
            raise PluginError(f"{kind} {one.name!r} exists already, from the plugin {owner!r}")

    def _require_free(self, serializer: Serializer) -> None:
        name, content_type = serializer.name, serializer.content_type
        if name in registry.name_to_type:
            raise PluginError(f"serializer {name!r} exists already, from {self._source(name)}")
        if taken := registry.type_to_name.get(content_type):
            raise PluginError(
                f"serializer {name!r}: the content type {content_type!r} belongs to "
                f"serializer {taken!r}, from {self._source(taken)}"
            )

    def _source(self, serializer: str) -> str:
        owner = self.owners.get((Serializer, serializer))
        return "Kombu" if owner is None else f"the plugin {owner!r}"

    def withdraw(self) -> None:
        """Unregister the serializers from Kombu."""
        for name in self.serializers:
            with suppress(SerializerNotInstalled):
                registry.unregister(name)
        self.serializers.clear()


def kombus_name(name: str) -> str | None:
    """Return the name of the coding for Kombu's compression method ``name``, or ``None``."""
    try:
        return get_compression(name)[1]
    except KeyError:
        return None


def instead_of(name: str) -> str:
    """Return the end of a message about a missing serializer: what to install, what there is."""
    wanted = advice(name, "")
    known = ", ".join(sorted(set(registry.name_to_type) - {"raw"}))
    return f"{f'; install {wanted}' if wanted else ''}. Installed: {known}."


def require_serializer(name: str) -> None:
    """Raise :class:`BackendMisconfigured` unless the serializer ``name`` can be used."""
    if name == "raw" or name not in registry.name_to_type:
        raise BackendMisconfigured(f"There is no serializer {name!r}{instead_of(name)}")
    try:
        registry.dumps(None, serializer=name)
    except SerializerNotInstalled as error:
        raise BackendMisconfigured(f"The serializer {name!r} cannot be used: {error}") from error
    except EncodeError:
        return  # The serializer works; it may refuse None.


def _contributed(manager: pluggy.PluginManager, hook: str, kind: type[_T]) -> list[_T]:
    try:
        found: list[Any] = [one for answer in getattr(manager.hook, hook)() for one in answer]
    except HookError as error:
        raise PluginError(str(error)) from error
    except Exception as error:
        raise PluginError(f"{hook} raised {type(error).__name__}: {error}") from error
    for one in found:
        if not isinstance(one, kind):
            raise PluginError(
                f"{hook} returned {one!r}; it has to return instances of "
                f"django_celery_results.records.{kind.__name__}"
            )
    # Only serializers have a content type.
    for key in ("name", "content_type"):
        values = [getattr(one, key) for one in found if hasattr(one, key)]
        if len(set(values)) != len(values):
            raise PluginError(f"{hook} returned one {key} twice: {', '.join(values)}")
    return found


def is_serializer(name: str) -> bool:
    """Return whether Kombu knows a serializer with that name or content type."""
    return name in registry.name_to_type or name in registry.type_to_name


def _refusing(plugin: str) -> Callable[[Any], str]:
    """Return an encoder for a disabled plugin's serializer: it always raises."""

    def encode(_value: Any) -> str:
        raise SerializerNotInstalled(f"its plugin {plugin!r} is disabled and can only decode")

    return encode


def _register(serializer: Serializer, encode: Callable[[Any], str | bytes]) -> None:
    registry.register(
        serializer.name,
        encode,
        serializer.decode,
        serializer.content_type,
        serializer.content_encoding,
    )


def advice(name: str, otherwise: str) -> str:
    """Return what to install for the coding, serializer or content type ``name``."""
    return FIRST_PARTY.get(name, otherwise)
