"""Registers plugins for the time of a test, and answers questions about registered plugins.

The suites reach the registry of plugins only through this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.test import override_settings

from ..checks import check_plugin_settings
from ..registry.catalogue import require_serializer
from ..registry.discovery import PluginInfo, discover, import_plugin
from ..registry.loading import get_plugin_manager, hook_names, load_plugins, new_manager

if TYPE_CHECKING:
    import pluggy

    from ..records import Coding
    from ..registry.discovery import Candidate

__all__ = [
    "PluginInfo",
    "check_plugin_settings",
    "find_plugin",
    "get_plugin_manager",
    "hook_names",
    "new_manager",
    "plugin_infos",
    "registered_codings",
    "registered_plugins",
    "require_serializer",
]


@contextmanager
def registered_plugins(*plugins: object, **options: Any) -> Iterator[pluggy.PluginManager]:
    """Register ``plugins`` and the built-in plugins, and no others, within the block.

    A plugin is anything that ``PLUGINS`` accepts (a module, an instance, a class, a dotted
    path), or the name of an installed plugin. ``options`` are further keys of
    ``DJANGO_CELERY_RESULTS``; within the block it contains no other keys.

    Yields the plugin manager. Raises :class:`~django_celery_results.exceptions.PluginError`
    if a plugin does not load.
    """
    installed = _installed()
    found = [_found(plugin, installed) for plugin in plugins]
    wanted = [one for one in installed.values() if one.info.built_in or one.plugin in found]
    # A plugin that is given but not installed may share its name with an installed one.
    names = {one.info.name for one in wanted} | {_name(plugin) for plugin in found}
    settings: dict[str, Any] = {
        "PLUGINS": [one for one in found if one not in [other.plugin for other in wanted]],
        "DISABLED_PLUGINS": sorted(installed.keys() - names),
    }
    for key, value in options.items():
        settings[key] = [*settings.get(key, ()), *value] if key in settings else value
    with override_settings(DJANGO_CELERY_RESULTS=settings):
        yield get_plugin_manager()


def plugin_infos() -> Sequence[PluginInfo]:
    """Return a description of each plugin, including those that failed or are disabled.

    Active plugins come first, in the order in which their hooks are called. A description has
    the plugin's ``name``, its ``distribution`` and ``version``, its ``hooks``, its ``status``
    (``"active"``, ``"disabled"`` or ``"failed"``) and the ``reason`` for that status.

    .. versionadded:: 3.0
    """
    return load_plugins().infos


def registered_codings() -> Mapping[str, Coding]:
    """Return the codings of the registered plugins by name."""
    return load_plugins().contributions.codings


def find_plugin(plugin: object) -> object:
    """Return the plugin that ``plugin`` is or names, without instantiating a class."""
    return _found(plugin, _installed())


def _installed() -> dict[str, Candidate]:
    with override_settings(DJANGO_CELERY_RESULTS={}):
        return {one.info.name: one for one in discover() if one.info.origin == "entry point"}


def _found(plugin: object, installed: Mapping[str, Candidate]) -> object:
    """Return the plugin. Leave a path that cannot be imported, for the error that names it."""
    if isinstance(plugin, str) and plugin in installed:
        return installed[plugin].plugin
    with suppress(ImportError, AttributeError):
        return import_plugin(plugin)
    return plugin


def _name(plugin: object) -> object:
    return getattr(plugin, "django_celery_results_name", None)
