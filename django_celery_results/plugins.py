"""The one place that builds the plugin manager: discover, validate, order, inspect.

The manager is pluggy's own, built at first use and dropped when settings change. What
is wrong with plugins is collected while it is built and reported all at once.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib import import_module
from pkgutil import resolve_name
from threading import RLock
from types import ModuleType
from typing import Any, Literal

import importlib_metadata
import pluggy
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from . import hookspecs
from .conf import results_settings
from .contributions import Contributions
from .exceptions import PluginError

__all__ = ["LoadedPlugins", "PluginInfo", "get_plugin_manager", "load_plugins"]

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "django_celery_results"
DISTRIBUTION = "django-celery-results"

Status = Literal["active", "disabled", "failed"]


@dataclass(frozen=True, kw_only=True)
class PluginInfo:
    """What there is to say about one plugin, loaded or not."""

    name: str
    #: The distribution it came with and that one's version; empty for settings.
    distribution: str = ""
    version: str = ""
    origin: Literal["entry point", "settings"]
    #: Where it was looked for: ``package.module:attribute``.
    reference: str
    hooks: tuple[str, ...] = ()
    status: Status = "active"
    #: Why it failed, or by which setting it is disabled.
    reason: str = ""

    @property
    def built_in(self) -> bool:
        """Whether the plugin is part of this distribution."""
        return self.distribution == DISTRIBUTION

    def __str__(self) -> str:
        source = f"{self.distribution} {self.version}" if self.distribution else "settings"
        return f"{self.name!r} ({source}, {self.reference})"


@dataclass
class LoadedPlugins:
    """The plugin manager and what is known about every plugin."""

    manager: pluggy.PluginManager
    #: In the order in which their hooks are called; those that are not active last.
    infos: list[PluginInfo] = field(default_factory=list)
    contributions: Contributions = field(default_factory=Contributions)

    @property
    def failures(self) -> list[PluginInfo]:
        """The plugins that failed to load."""
        return [info for info in self.infos if info.status == "failed"]

    def info(self, name: str) -> PluginInfo | None:
        """Return what is known about the plugin called ``name``."""
        return next((info for info in self.infos if info.name == name), None)

    def storages(self) -> list[str]:
        """Return the names of the storages: the valid schemes of result backend URLs."""
        return sorted(
            impl.plugin_name
            for impl in self.manager.hook.open_storage.get_hookimpls()
            if not impl.wrapper
        )

    def raise_failures(self) -> None:
        """Raise :class:`PluginError` with every failure, if there is one."""
        if self.failures:
            lines = [f"- {info}: {info.reason}" for info in self.failures]
            raise PluginError(
                "Plugins of django-celery-results failed to load. Mend or uninstall "
                "each, or name it in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']:\n"
                + "\n".join(lines)
            )


def import_plugin(source: object) -> Any:
    """Return what ``source`` names: ``pkg.module``, ``pkg.module:attr`` or ``pkg.module.attr``.

    Anything but a string is returned as it is. Raises :exc:`ImportError`.
    """
    if not isinstance(source, str):
        return source
    if ":" in source:
        return resolve_name(source)
    try:
        return import_module(source)
    except ModuleNotFoundError as error:
        # Only the named module itself being absent leaves the other reading open.
        if "." not in source or not f"{source}.".startswith(f"{error.name}."):
            raise
        return import_string(source)


def get_plugin_manager() -> pluggy.PluginManager:
    """Return the plugin manager, built at first use.

    Raises :class:`PluginError`, naming every plugin that failed to load, unless
    ``STRICT_PLUGINS`` is False.
    """
    plugins = load_plugins()
    if results_settings.strict_plugins:
        plugins.raise_failures()
    return plugins.manager


class _Loader:
    """Holds the plugins once they are loaded."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.loaded: LoadedPlugins | None = None
        self.building = False


_loader = _Loader()


def load_plugins() -> LoadedPlugins:
    """Return the plugins with all that is known about them; failures do not raise here."""
    with _loader.lock:
        if _loader.building:
            raise PluginError("a plugin must not ask for the plugins while they are being loaded")
        if _loader.loaded is None:
            _loader.building = True
            try:
                _loader.loaded = _build()
            finally:
                _loader.building = False
        return _loader.loaded


def forget_plugins() -> None:
    """Drop the plugin manager, so that the next use builds it anew."""
    with _loader.lock:
        if _loader.loaded is not None:
            _loader.loaded.contributions.withdraw()
        _loader.loaded = None


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "DJANGO_CELERY_RESULTS":
        forget_plugins()


setting_changed.connect(_on_setting_changed, dispatch_uid=f"{__name__}.forget_plugins")


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the specifications and no plugin."""
    manager = pluggy.PluginManager("django_celery_results")
    manager.add_hookspecs(hookspecs)
    return manager


def manager_of(manager: pluggy.PluginManager, names: Collection[str]) -> pluggy.PluginManager:
    """Return another manager with only the plugins called ``names``, in the same order.

    Not pluggy's ``subset_hook_caller``: that of 1.6 overlooks what implements a hook
    under another name (``specname``).
    """
    subset = new_manager()
    for name, plugin in manager.list_name_plugin():
        if name in names:
            subset.register(plugin, name=name)
    return subset


# -- Discovery -----------------------------------------------------------------------


@dataclass
class _Candidate:
    """A plugin on its way: found, then imported, then registered or given up."""

    info: PluginInfo
    source: Any
    plugin: Any = None

    def give_up(self, status: Status, reason: str) -> None:
        self.info = replace(self.info, status=status, reason=reason)

    @property
    def active(self) -> bool:
        return self.info.status == "active"


def _entry_points() -> list[_Candidate]:
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
        found.append(_Candidate(info, entry_point))
    found.sort(key=lambda one: (one.info.distribution.lower(), one.info.name))
    return sorted(found, key=lambda one: one.info.built_in)


def _identity(distribution: importlib_metadata.Distribution | None) -> tuple[str, str]:
    """Return the name and the version of a distribution, as far as it says them."""
    try:
        return (distribution.name or "", distribution.version or "") if distribution else ("", "")
    except Exception:  # noqa: BLE001 - one whose metadata are broken must not hide the others
        return "", ""


def _from_settings() -> Iterator[_Candidate]:
    for source in results_settings.plugins:
        if isinstance(source, str):
            reference = source
        elif isinstance(source, ModuleType):
            reference = source.__name__
        else:
            kind = source if inspect.isclass(source) else type(source)
            reference = f"{kind.__module__}:{kind.__qualname__}"
        yield _Candidate(PluginInfo(name=reference, origin="settings", reference=reference), source)


def _import(candidate: _Candidate) -> None:
    """Import a plugin that is not disabled, and give it the name that it asks for."""
    disabled = results_settings.disabled_plugins
    if candidate.info.name not in disabled:
        try:
            if candidate.info.origin == "settings":
                _import_from_settings(candidate)
            else:
                _import_entry_point(candidate)
        except Exception as error:  # noqa: BLE001 - whatever it is becomes part of the report
            candidate.give_up("failed", _describe(error))
    if candidate.info.name in disabled:
        candidate.give_up("disabled", "named in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']")


def _import_entry_point(candidate: _Candidate) -> None:
    plugin = candidate.source.load()
    if inspect.isclass(plugin):
        raise PluginError(
            f"{candidate.info.reference} is a class; let the entry point name an instance "
            f"of it (such as plugin = {plugin.__name__}()) or a module"
        )
    candidate.plugin = plugin


def _import_from_settings(candidate: _Candidate) -> None:
    plugin = import_plugin(candidate.source)
    candidate.plugin = plugin() if inspect.isclass(plugin) else plugin
    name = getattr(candidate.plugin, "django_celery_results_name", candidate.info.name)
    if not (isinstance(name, str) and name):
        raise PluginError(f"its django_celery_results_name has to be a name, not {name!r}")
    candidate.info = replace(candidate.info, name=name)


def _refuse_duplicates(candidates: list[_Candidate]) -> None:
    """Give up all that share a name, but for a built-in plugin: that one keeps it."""
    by_name: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        if candidate.active:
            by_name.setdefault(candidate.info.name, []).append(candidate)
    for rivals in by_name.values():
        names = " and ".join(str(rival.info) for rival in rivals)
        for rival in rivals:
            if len(rivals) > 1 and not rival.info.built_in:
                rival.give_up("failed", f"the name belongs to several plugins: {names}")


# -- Loading -------------------------------------------------------------------------


def _build() -> LoadedPlugins:
    plugins = LoadedPlugins(new_manager())
    # In the order in which their hooks are to be called.
    candidates = [*_from_settings(), *_entry_points()]
    for candidate in candidates:
        _import(candidate)
    _refuse_duplicates(candidates)
    # pluggy calls first what was registered last.
    for candidate in reversed(candidates):
        if candidate.active:
            _load(plugins, candidate)
    plugins.infos = sorted(
        (candidate.info for candidate in candidates),
        key=lambda info: info.status != "active",
    )
    for info in plugins.failures:
        logger.error("Plugin %s failed to load: %s", info, info.reason)
    return plugins


def _load(plugins: LoadedPlugins, candidate: _Candidate) -> None:
    name = candidate.info.name
    try:
        hooks = _register(plugins.manager, candidate.plugin, name)
        plugins.contributions.accept(manager_of(plugins.manager, {name}), name)
    except Exception as error:  # noqa: BLE001 - whatever it is becomes part of the report
        if plugins.manager.has_plugin(name):
            plugins.manager.unregister(name=name)
        candidate.give_up("failed", _describe(error))
    else:
        candidate.info = replace(candidate.info, hooks=hooks)


def _describe(error: Exception) -> str:
    return str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"


def _register(manager: pluggy.PluginManager, plugin: Any, name: str) -> tuple[str, ...]:
    """Register ``plugin`` and return the names of its hooks, or raise what is wrong."""
    version = getattr(plugin, "django_celery_results_api", hookspecs.API_VERSION)
    if version != hookspecs.API_VERSION:
        raise PluginError(
            f"it was written for version {version} of the hooks and this is version "
            f"{hookspecs.API_VERSION}; install a release of it that supports this one"
        )
    hash(plugin)  # pluggy keeps plugins in sets; an object that cannot be there says so here
    if (other := manager.get_name(plugin)) is not None:
        raise PluginError(
            f"it is the same object as the plugin {other!r}; one of the two is enough"
        )
    manager.register(plugin, name=name)
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        _require_known(caller, name)
    hooks = tuple(sorted(caller.name for caller in callers if caller.has_spec()))
    if not hooks:
        raise PluginError(
            "it implements no hook; mark its functions with django_celery_results.hookimpl"
        )
    _require_complete_storage(manager, name)
    return hooks


def _require_known(caller: pluggy.HookCaller, name: str) -> None:
    if caller.has_spec():
        return
    impls = [impl for impl in caller.get_hookimpls() if impl.plugin_name == name]
    if not all(impl.optionalhook for impl in impls):
        raise PluginError(f"there is no hook {caller.name!r}{_closest_hook(caller.name)}")


def _closest_hook(name: str) -> str:
    closest = get_close_matches(name, hook_names(), n=1)
    return f"; did you mean {closest[0]!r}?" if closest else ""


def hook_names() -> list[str]:
    """Return the names of all hooks, in the order of the contract."""
    specified = new_manager().hook
    return [
        name
        for name in vars(hookspecs)
        if isinstance(getattr(specified, name, None), pluggy.HookCaller)
    ]


def _require_complete_storage(manager: pluggy.PluginManager, name: str) -> None:
    """Refuse a plugin that has some of a storage's hooks and lacks one that it needs."""
    mine = {hook for hook in hookspecs.STORAGE_HOOKS if _implements(manager, hook, name)}
    missing = [hook for hook in hookspecs.REQUIRED_STORAGE_HOOKS if hook not in mine]
    if mine and missing:
        raise PluginError(
            f"it implements {', '.join(sorted(mine))} like a storage but not "
            f"{', '.join(missing)}; to tweak another storage use hookimpl(wrapper=True)"
        )


def _implements(manager: pluggy.PluginManager, hook: str, name: str) -> bool:
    impls = getattr(manager.hook, hook).get_hookimpls()
    return any(impl.plugin_name == name and not impl.wrapper for impl in impls)
