"""Base classes of the suites."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .at_once import Processes, Site
from .registering import registered_codings

if TYPE_CHECKING:
    import pluggy

    from ..records import Contents
    from .fixtures import Register

__all__ = ["CodecConformance", "PluginConformance"]


class PluginConformance:
    """Base class of the suites that a plugin must pass. Subclass a suite, not this class."""

    #: The plugin: a module, an instance, a class, a dotted path, or an installed plugin's name.
    plugin: ClassVar[Any]
    #: Keys of ``DJANGO_CELERY_RESULTS`` that the plugin needs, including its own options.
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def manager(self, registered: Register) -> pluggy.PluginManager:
        """The plugin manager, with this plugin and the built-in plugins."""
        return registered(self.plugin, **self.options)


class CodecConformance(PluginConformance):
    """Base class of the suites for serializers and for codings."""

    @pytest.fixture(autouse=True)
    def _codec(self, manager: pluggy.PluginManager) -> None:
        self.hook = manager.hook
        self.codings = registered_codings()

    def encode(
        self, values: Mapping[str, Any], serializer: str = "json", codings: tuple[str, ...] = ()
    ) -> Contents:
        """Return ``values`` encoded as they would be stored."""
        chain = [self.codings[name] for name in codings]
        contents: Contents = self.hook.encode(values=values, serializer=serializer, codings=chain)
        return contents

    def decode(self, contents: Contents) -> Mapping[str, Any]:
        """Return the values in ``contents``, accepting any content type."""
        accept = frozenset({contents.content_type})
        values: Mapping[str, Any] = self.hook.decode(
            contents=contents, accept=accept, codings=self.codings
        )
        return values

    def returned(self, value: Any, **how: Any) -> Any:
        """Return ``value`` after encoding and decoding it."""
        return self.decode(self.encode({"result": value}, **how))["result"]

    def in_another_process(self, function: Callable[..., Any]) -> Any:
        """Return the result of ``function(backend, number)`` in a new process.

        Skips the test if the plugin cannot be pickled. A plugin that is a module always can.
        """
        site = Site.here(self.plugin, self.options, "django-cache")
        try:
            pickle.dumps(site)
        except Exception as error:  # noqa: BLE001 - a plugin's objects may raise anything
            pytest.skip(f"the plugin cannot be pickled, name its module instead: {error}")
        with closing(Processes(site, 1)) as workers:
            return workers.call(function)[0]
