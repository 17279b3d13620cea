"""Finds and imports plugins: from the settings, then from the installed distributions.

Each plugin becomes a :class:`Candidate`, which holds the imported plugin or the reason why it
was not imported. :mod:`django_celery_results.registry.loading` registers the candidates.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from traceback import StackSummary, extract_tb
from types import ModuleType
from typing import Any, Literal

import importlib_metadata
import pluggy
from django.utils import module_loading
from django.utils.module_loading import import_string

from ..conf import results_settings
from ..exceptions import PluginError

__all__ = ["Candidate", "PluginInfo", "describe", "discover", "fetch", "import_plugin"]

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "django_celery_results"
#: The beginning of every reference in this distribution's entry points, and only in these.
OWN_MODULES = "django_celery_results."

#: The packages whose errors end a call from outside, for :func:`ends_the_caller`.
SENDERS = frozenset({"asyncio", "celery", "eventlet", "gevent", "greenlet"})

#: The packages whose frames a plugin's traceback leaves out: they import it and call its hooks.
IMPORTING = (importlib, importlib_metadata, pluggy)

#: The files that stand between this package and the code of a plugin that is imported.
IMPORTERS = (
    *(f"{Path(one.__file__ or '').parent}{os.sep}" for one in IMPORTING),
    f"{Path(__file__).parents[1]}{os.sep}",
    module_loading.__file__,
    pkgutil.__file__,
)

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
    #: If the plugin's own code raised an error: where, as the lines of a Python traceback.
    traceback: str = ""

    @property
    def full_name(self) -> str:
        """``distribution:name``, which tells apart the plugins of distributions that share a name.

        It is the name for a plugin from the settings.
        """
        return f"{self.distribution}:{self.name}" if self.distribution else self.name

    def is_called(self, name: str) -> bool:
        """Return whether ``name`` is the plugin's name or full name."""
        distribution, _, rest = name.partition(":")
        known = bool(self.distribution) and _normal(distribution) == _normal(self.distribution)
        return name == self.name or (known and rest == self.name)

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


@dataclass(eq=False)
class Candidate:
    """A plugin that is being loaded: found, then imported, then registered or rejected."""

    info: PluginInfo
    source: Any
    plugin: Any = None
    #: The imported object: the plugin, or its class.
    found: Any = None

    def give_up(self, status: Status, reason: str) -> None:
        """Record why the plugin will not be loaded."""
        self.info = replace(self.info, status=status, reason=reason)

    def repeats(self, other: Candidate) -> bool:
        """Return whether both candidates come from the same setting or the same object."""
        if isinstance(self.source, str) and self.source == other.source:
            return True
        return self.found is not None and self.found is other.found

    def fail(self, error: BaseException) -> None:
        """Record the error that keeps the plugin from being loaded."""
        self.give_up("failed", describe(error))
        self.info = replace(self.info, traceback=_traceback(error))

    @property
    def active(self) -> bool:
        """Whether the plugin is still to be loaded: neither disabled nor failed so far."""
        return self.info.status == "active"


def discover() -> list[Candidate]:
    """Return all plugins, in the order in which their hooks are called.

    The status of a plugin that is disabled or could not be imported says so.
    """
    listed = list(_from_settings())
    candidates = [*listed, *_entry_points()]
    for candidate in candidates:
        _import(candidate)
    for number, candidate in enumerate(listed):
        if any(candidate.repeats(earlier) for earlier in listed[:number]):
            candidates.remove(candidate)
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


def describe(error: BaseException) -> str:
    """Return the error in one line, as the reason of a failure."""
    if isinstance(error, PluginError):
        return str(error)
    # pluggy's messages have several lines.
    return f"{type(error).__name__}: {'; '.join(str(error).splitlines())}"


def ends_the_caller(error: BaseException) -> bool:
    """Return whether ``error`` was sent to end the running call, whichever code it is in.

    It must then not be taken for a failure of that code: a person's Ctrl-C, a stop of Celery's
    worker, the end of an asynchronous task, or a time limit under gevent or eventlet.
    """
    modules = {one.__module__.partition(".")[0] for one in type(error).__mro__}
    return isinstance(error, KeyboardInterrupt) or not modules.isdisjoint(SENDERS)


def indented(text: str) -> str:
    """Return the lines of ``text``, each after a line break and four more spaces."""
    return "".join(f"\n    {line}" for line in text.splitlines())


def _traceback(error: BaseException) -> str:
    """Return where a plugin's own code raised ``error``, without the code that imports it."""
    if isinstance(error, PluginError) and error.__cause__ is not None:
        error = error.__cause__
    frames = [one for one in extract_tb(error.__traceback__) if not _imports(one.filename)]
    return "".join(StackSummary.from_list(frames).format()).rstrip()


def _imports(filename: str) -> bool:
    """Return whether the file belongs to the import system or to this package."""
    return filename.startswith("<frozen ") or any(map(filename.startswith, IMPORTERS))


def _normal(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


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
    if not any(map(candidate.info.is_called, disabled)):
        try:
            fetch(candidate)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            candidate.fail(error)
    if any(map(candidate.info.is_called, disabled)):
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
    candidate.found = plugin = import_plugin(candidate.source)
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
        if len(rivals) > 1:
            names = " and ".join(str(rival.info) for rival in rivals)
            others = [rival for rival in rivals if not rival.info.built_in]
            reason = f"the name belongs to several plugins: {names}{_instead(others)}"
            for rival in others:
                rival.give_up("failed", reason)


def _instead(rivals: list[Candidate]) -> str:
    """Return the end of a message that says how to switch off one of several plugins."""
    installed = [repr(one.info.full_name) for one in rivals if one.info.distribution]
    ways = ["remove it from PLUGINS"] if len(installed) < len(rivals) else []
    if installed:
        ways.append(f"name only {' or '.join(installed)} in DISABLED_PLUGINS")
    return f"; to switch off one of them, {', or '.join(ways)}"
