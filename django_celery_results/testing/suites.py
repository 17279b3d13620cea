"""What the suites share."""

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
    """A suite of tests that a plugin has to pass. Subclass one of the suites below it."""

    #: The plugin: a module, an instance, a class, a dotted path, or the name of an installed one.
    plugin: ClassVar[Any]
    #: Keys of ``DJANGO_CELERY_RESULTS`` that it needs, its own options among them.
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def manager(self, registered: Register) -> pluggy.PluginManager:
        """The plugin manager, with the plugin and the built-in ones."""
        return registered(self.plugin, **self.options)


class CodecConformance(PluginConformance):
    """What the suites of serializers and of codings share."""

    @pytest.fixture(autouse=True)
    def _codec(self, manager: pluggy.PluginManager) -> None:
        self.hook = manager.hook
        self.codings = registered_codings()

    def encode(
        self, values: Mapping[str, Any], serializer: str = "json", codings: tuple[str, ...] = ()
    ) -> Contents:
        """Return ``values`` as they are stored."""
        chain = [self.codings[name] for name in codings]
        contents: Contents = self.hook.encode(values=values, serializer=serializer, codings=chain)
        return contents

    def decode(self, contents: Contents) -> Mapping[str, Any]:
        """Return the values of ``contents``, whatever they are the contents of."""
        accept = frozenset({contents.content_type})
        values: Mapping[str, Any] = self.hook.decode(
            contents=contents, accept=accept, codings=self.codings
        )
        return values

    def returned(self, value: Any, **how: Any) -> Any:
        """Return ``value`` after it was encoded and decoded."""
        return self.decode(self.encode({"result": value}, **how))["result"]

    def in_another_process(self, function: Callable[..., Any]) -> Any:
        """Return what ``function(backend, number)`` gives where nothing of this process is.

        Skips the test of a plugin that another process cannot be told: a module can always be.
        """
        site = Site.here(self.plugin, self.options, "django-cache")
        try:
            pickle.dumps(site)
        except Exception as error:  # noqa: BLE001 - whatever the plugin's objects raise
            pytest.skip(f"no other process can have the plugin, name its module instead: {error}")
        with closing(Processes(site, 1)) as workers:
            return workers.call(function)[0]
