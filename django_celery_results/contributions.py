"""What plugins contribute: serializers and codings, by name.

Serializers are made known to Kombu, because Celery looks them up there by name.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from kombu import compression
from kombu.exceptions import EncodeError, SerializerNotInstalled
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from .exceptions import BackendMisconfigured, PluginError
from .records import Coding, Serializer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pluggy

__all__ = ["Contributions", "get_compression", "require_serializer"]

# The stubs say that this gives the function alone; it gives the content type too.
get_compression = cast(
    "Callable[[str], tuple[Callable[[bytes], bytes], str]]", compression.get_encoder
)

_T = TypeVar("_T", Serializer, Coding)


@dataclass
class Contributions:
    """The contributions of all plugins that were accepted, by name."""

    serializers: dict[str, Serializer] = field(default_factory=dict)
    codings: dict[str, Coding] = field(default_factory=dict)
    #: The plugin that each serializer and each coding came from, by kind and name.
    owners: dict[tuple[type, str], str] = field(default_factory=dict)

    def coding(self, name: str) -> Coding | None:
        """Return the coding that ``name`` selects: a plugin's, or a method of Kombu's."""
        if name not in self.codings:
            with suppress(KeyError):
                _, name = get_compression(name)
        return self.codings.get(name)

    def accept(self, manager: pluggy.PluginManager, plugin: str) -> None:
        """Take in what ``plugin`` contributes: all of it, or none and raise what is wrong.

        ``manager`` has that plugin alone.
        """
        serializers = _contributed(manager, "contribute_serializers", Serializer)
        codings = _contributed(manager, "contribute_codings", Coding)
        for serializer in serializers:
            self._require_free(serializer)
        for coding in codings:
            if coding.name in self.codings:
                owner = self.owners[Coding, coding.name]
                raise PluginError(
                    f"coding {coding.name!r} exists already, from the plugin {owner!r}"
                )
        for serializer in serializers:
            _register(serializer)
        self.serializers.update({one.name: one for one in serializers})
        self.codings.update({one.name: one for one in codings})
        self.owners.update({(Serializer, one.name): plugin for one in serializers})
        self.owners.update({(Coding, one.name): plugin for one in codings})

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
        """Make Kombu forget the serializers."""
        for name in self.serializers:
            with suppress(SerializerNotInstalled):
                registry.unregister(name)
        self.serializers.clear()


def require_serializer(name: str) -> None:
    """Raise :class:`BackendMisconfigured` unless a serializer of that name can be used."""
    known = sorted(set(registry.name_to_type) - {"raw"})
    if name not in known:
        raise BackendMisconfigured(
            f"There is no serializer {name!r}. Installed: {', '.join(known)}."
        )
    try:
        registry.dumps(None, serializer=name)
    except SerializerNotInstalled as error:
        raise BackendMisconfigured(f"The serializer {name!r} cannot be used: {error}") from error
    except EncodeError:
        return  # It is there; that it refuses None is its own affair.


def _contributed(manager: pluggy.PluginManager, hook: str, kind: type[_T]) -> list[_T]:
    try:
        found: list[Any] = [one for answer in getattr(manager.hook, hook)() for one in answer]
    except Exception as error:
        raise PluginError(f"{hook} raised {type(error).__name__}: {error}") from error
    for one in found:
        if not isinstance(one, kind):
            raise PluginError(
                f"{hook} gave {one!r}; it has to give instances of "
                f"django_celery_results.records.{kind.__name__}"
            )
    # A coding has no content type.
    for key in ("name", "content_type"):
        values = [getattr(one, key) for one in found if hasattr(one, key)]
        if len(set(values)) != len(values):
            raise PluginError(f"{hook} gave one {key} twice: {', '.join(values)}")
    return found


def _register(serializer: Serializer) -> None:
    registry.register(
        serializer.name,
        serializer.encode,
        serializer.decode,
        serializer.content_type,
        serializer.content_encoding,
    )
