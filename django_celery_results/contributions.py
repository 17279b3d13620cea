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

    def coding(self, name: str) -> Coding | None:
        """Return the coding that ``name`` selects: a plugin's, or a method of Kombu's."""
        if name not in self.codings:
            with suppress(KeyError):
                _, name = get_compression(name)
        return self.codings.get(name)

    def accept(self, manager: pluggy.PluginManager, plugin: str) -> None:
        """Take in what ``plugin`` contributes: all of it, or none and raise what is wrong."""
        serializers = _contributed(manager, "contribute_serializers", plugin, Serializer)
        codings = _contributed(manager, "contribute_codings", plugin, Coding)
        for serializer in serializers:
            _require_free(serializer)
        for coding in codings:
            if coding.name in self.codings:
                raise PluginError(f"coding {coding.name!r} exists already")
        for serializer in serializers:
            _register(serializer)
        self.serializers.update({one.name: one for one in serializers})
        self.codings.update({one.name: one for one in codings})

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


def _contributed(manager: pluggy.PluginManager, hook: str, plugin: str, kind: type[_T]) -> list[_T]:
    others = [other for name, other in manager.list_name_plugin() if name != plugin]
    answers = manager.subset_hook_caller(hook, remove_plugins=others)()
    found: list[Any] = [one for answer in answers for one in answer]
    for one in found:
        if not isinstance(one, kind):
            raise PluginError(
                f"{hook} gave {one!r}; it has to give instances of "
                f"django_celery_results.records.{kind.__name__}"
            )
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise PluginError(f"{hook} gave one name twice: {', '.join(names)}")
    return found


def _require_free(serializer: Serializer) -> None:
    if serializer.name in registry.name_to_type:
        raise PluginError(f"serializer {serializer.name!r} exists already")
    if owner := registry.type_to_name.get(serializer.content_type):
        raise PluginError(
            f"serializer {serializer.name!r}: the content type "
            f"{serializer.content_type!r} belongs to serializer {owner!r}"
        )


def _register(serializer: Serializer) -> None:
    registry.register(
        serializer.name,
        serializer.encode,
        serializer.decode,
        serializer.content_type,
        serializer.content_encoding,
    )
