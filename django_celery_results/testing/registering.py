"""Register plugins for the duration of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from django.test import override_settings

from ..registry.discovery import discover, import_plugin
from ..registry.loading import get_plugin_manager

if TYPE_CHECKING:
    import pluggy

    from ..registry.discovery import Candidate

__all__ = ["registered_plugins"]


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
