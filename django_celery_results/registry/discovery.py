"""Finds and imports plugins: from the settings, then from the installed distributions.

Each plugin becomes a :class:`Candidate`, which holds the imported plugin or the reason why it
was not imported. :mod:`django_celery_results.registry.loading` registers the candidates.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, Literal

import importlib_metadata
from django.utils.module_loading import import_string

from ..conf import results_settings
from ..exceptions import PluginError

__all__ = ["Candidate", "PluginInfo", "describe", "discover", "fetch", "import_plugin"]

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "django_celery_results"
#: The beginning of every reference in this distribution's entry points, and only in these.
OWN_MODULES = "django_celery_results."

Status = Literal["active", "disabled", "failed"]


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """The facts about one plugin, loaded or not."""

    name: str
    #: The plugin's distribution, and below its version; empty for plugins from the settings.
    distribution: str = ""
    version: str = ""
    origin: Literal["entry point", "settings"]
    #: Where the plugin is imported from: ``package.module:attribute``.
    reference: str
    hooks: tuple[str, ...] = ()
    status: Status = "active"
    #: Why the plugin failed, or which setting disables it.
    reason: str = ""

    @property
    def built_in(self) -> bool:
        """Whether the plugin is part of this package.

        The entry point's reference decides, not the distribution, whose metadata may be
        unreadable for a moment during installation.
        """
        return self.origin == "entry point" and self.reference.startswith(OWN_MODULES)

    def __str__(self) -> str:
        source = f"{self.distribution} {self.version}" if self.distribution else self.origin
        return f"{self.name!r} ({source}, {self.reference})"


@dataclass
class Candidate:
    """A plugin that is being loaded: found, then imported, then registered or rejected."""

    info: PluginInfo
    source: Any
    plugin: Any = None

    def give_up(self, status: Status, reason: str) -> None:
        """Record why the plugin will not be loaded."""
        self.info = replace(self.info, status=status, reason=reason)

    @property
    def active(self) -> bool:
        """Whether the plugin is still to be loaded: neither disabled nor failed so far."""
        return self.info.status == "active"


def discover() -> list[Candidate]:
    """Return all plugins, in the order in which their hooks are called.

    The status of a plugin that is disabled or could not be imported says so.
    """
    candidates = [*_from_settings(), *_entry_points()]
    for candidate in candidates:
        _import(candidate)
    _refuse_duplicates(candidates)
    return candidates


def import_plugin(source: object) -> Any:
    """Import ``source``: ``pkg.module``, ``pkg.module:attr`` or ``pkg.module.attr``.

    Anything but a string is returned unchanged. Raises :exc:`ImportError`.
    """
    if not isinstance(source, str):
        return source
    if ":" in source:
        return resolve_name(source)
    try:
        return import_module(source)
    except ModuleNotFoundError as error:
        # The name may be a module and an attribute, but only if the missing module is part of
        # this name: otherwise an import inside the plugin failed.
        if "." not in source or not f"{source}.".startswith(f"{error.name}."):
            raise
        return import_string(source)


def describe(error: Exception) -> str:
    """Return the error in one line, as the reason of a failure."""
    if isinstance(error, PluginError):
        return str(error)
    # pluggy's messages have several lines.
    return f"{type(error).__name__}: {'; '.join(str(error).splitlines())}"


def _entry_points() -> list[Candidate]:
    """Return the plugins of installed distributions, the built-in ones last."""
    found = []
    for entry_point in importlib_metadata.entry_points(group=ENTRY_POINT_GROUP):
        distribution, version = _identity(entry_point.dist)
        info = PluginInfo(
            name=entry_point.name,
            distribution=distribution,
            version=version,
            origin="entry point",
            reference=entry_point.value,
        )
        found.append(Candidate(info, entry_point))
    found.sort(key=lambda one: (one.info.distribution.lower(), one.info.name))
    return sorted(found, key=lambda one: one.info.built_in)


def _identity(distribution: importlib_metadata.Distribution | None) -> tuple[str, str]:
    """Return the name and version of a distribution, empty where they are unknown."""
    try:
        return (distribution.name or "", distribution.version or "") if distribution else ("", "")
    except Exception:
        # A distribution with broken metadata must not hide the others.
        logger.warning("The metadata of a plugin's distribution cannot be read", exc_info=True)
        return "", ""


def _from_settings() -> Iterator[Candidate]:
    for source in results_settings.plugins:
        if isinstance(source, str):
            reference = source
        elif isinstance(source, ModuleType):
            reference = source.__name__
        else:
            kind = source if inspect.isclass(source) else type(source)
            reference = f"{kind.__module__}:{kind.__qualname__}"
        yield Candidate(PluginInfo(name=reference, origin="settings", reference=reference), source)


def _import(candidate: Candidate) -> None:
    """Import a plugin unless it is disabled, by its first name or the name that it sets."""
    disabled = results_settings.disabled_plugins
    if candidate.info.name not in disabled:
        try:
            fetch(candidate)
        except Exception as error:  # noqa: BLE001 - every error becomes part of the report
            candidate.give_up("failed", describe(error))
    if candidate.info.name in disabled:
        candidate.give_up("disabled", "named in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']")


def fetch(candidate: Candidate) -> None:
    """Import the plugin of ``candidate``; raise any error that importing it raises."""
    if candidate.info.origin == "settings":
        _import_from_settings(candidate)
    else:
        _import_entry_point(candidate)


def _import_entry_point(candidate: Candidate) -> None:
    plugin = candidate.source.load()
    if inspect.isclass(plugin):
        raise PluginError(
            f"{candidate.info.reference} is a class; make the entry point name an instance "
            f"of it (such as plugin = {plugin.__name__}()) or a module"
        )
    candidate.plugin = plugin


def _import_from_settings(candidate: Candidate) -> None:
    plugin = import_plugin(candidate.source)
    candidate.plugin = plugin() if inspect.isclass(plugin) else plugin
    name = getattr(candidate.plugin, "django_celery_results_name", candidate.info.name)
    if not (isinstance(name, str) and name):
        raise PluginError(f"its django_celery_results_name has to be a name, not {name!r}")
    candidate.info = replace(candidate.info, name=name)


def _refuse_duplicates(candidates: list[Candidate]) -> None:
    """Reject all plugins that share a name, except that a built-in plugin keeps its name."""
    by_name: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.active:
            by_name.setdefault(candidate.info.name, []).append(candidate)
    for rivals in by_name.values():
        names = " and ".join(str(rival.info) for rival in rivals)
        for rival in rivals:
            if len(rivals) > 1 and not rival.info.built_in:
                rival.give_up("failed", f"the name belongs to several plugins: {names}")
