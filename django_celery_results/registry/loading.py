"""Builds the plugin manager: validates, orders and registers the plugins.

This module registers or rejects the candidates that
:mod:`django_celery_results.registry.discovery` finds.

The manager is a plain pluggy manager, built at first use and dropped when settings change.
Errors in plugins are collected while it is built and reported together.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from threading import RLock
from typing import TYPE_CHECKING, Any

import pluggy
from django.core.signals import setting_changed

from .. import hookspecs
from ..conf import results_settings
from ..exceptions import BackendMisconfigured, PluginError
from ..records import PYTHON_CONTENT_TYPE, split_encoding
from .answers import checked, require_sound
from .catalogue import Contributions, instead_of, is_serializer, kombus_name
from .discovery import Candidate, PluginInfo, describe, discover, fetch, indented

if TYPE_CHECKING:
    from ..records import Coding, Contents

__all__ = [
    "LoadedPlugins",
    "PluginInfo",
    "get_plugin_manager",
    "know_serializers",
    "load_plugins",
    "readers_of",
]

logger = logging.getLogger(__name__)


@dataclass
class LoadedPlugins:
    """The plugin manager and the facts about every plugin."""

    manager: pluggy.PluginManager
    #: The manager through which the core calls hooks: it has a stand-in for each plugin that is
    #: not built in, which checks the plugin's answers.
    checked: pluggy.PluginManager
    #: In the order in which their hooks are called; plugins that are not active come last.
    infos: list[PluginInfo] = field(default_factory=list)
    contributions: Contributions = field(default_factory=Contributions)
    #: Disabled plugins that have not been imported to decode old results yet.
    dormant: list[Candidate] = field(default_factory=list)

    @property
    def failures(self) -> list[PluginInfo]:
        """The plugins that failed to load."""
        return [info for info in self.infos if info.status == "failed"]

    def info(self, name: str) -> PluginInfo | None:
        """Return the facts about the plugin with this name or full name, ``None`` if none."""
        return next((info for info in self.infos if info.is_called(name)), None)

    def storages(self) -> list[str]:
        """Return the names of the storages: the valid schemes of result backend URLs."""
        return sorted(
            impl.plugin_name
            for impl in self.manager.hook.open_storage.get_hookimpls()
            if not impl.wrapper
        )

    def callers(self, hook: str) -> Iterator[tuple[str, pluggy.HookCaller]]:
        """Yield, in calling order, each plugin that implements ``hook``, with its own caller."""
        impls = reversed(getattr(self.manager.hook, hook).get_hookimpls())
        # Each plugin once: it may implement one hook twice (``specname``).
        for name in dict.fromkeys(impl.plugin_name for impl in impls):
            yield name, getattr(manager_of(self.checked, {name}).hook, hook)

    def coding(self, name: str) -> Coding | None:
        """Return the coding that the setting ``CODINGS`` selects by ``name``."""
        if name not in self.contributions.codings:
            # The coding may belong to a disabled plugin.
            self.load_readers()
        return self.contributions.coding(name)

    def chosen_codings(self, compression: str | None = None) -> list[Coding]:
        """Return the codings that are switched on, in the order to apply them.

        ``compression``, the name of one of Kombu's methods, comes before the names in
        ``CODINGS``. Raises :class:`BackendMisconfigured` for a name that selects no coding.
        """
        first = [kombus_name(compression) or compression] if compression else []
        return [self.require_coding(name) for name in [*first, *results_settings.codings]]

    def require_coding(self, name: str) -> Coding:
        """Return the coding that ``name`` selects; raise :class:`BackendMisconfigured` if none."""
        coding = self.coding(name)
        if coding is None:
            installed = ", ".join(sorted(self.contributions.codings))
            raise BackendMisconfigured(
                f"Content coding {name!r} in DJANGO_CELERY_RESULTS['CODINGS'] "
                f"{self.contributions.missing(name)}. Installed: {installed}."
            )
        return coding

    def load_readers(self) -> None:
        """Import the disabled plugins, to decode the results that they once wrote.

        Their other hooks are never called. A plugin that cannot be imported is logged.
        """
        with _loader.lock:
            dormant, self.dormant = self.dormant, []
            for candidate in dormant:
                _load_readers(self, candidate)

    def raise_failures(self) -> None:
        """Raise :class:`PluginError` with every failure, if any plugin failed."""
        if self.failures:
            lines = [f"- {info}: {info.reason}{indented(info.traceback)}" for info in self.failures]
            raise PluginError(
                "Plugins of django-celery-results failed to load. Fix or uninstall "
                "each, or name it in DJANGO_CELERY_RESULTS['DISABLED_PLUGINS']:\n"
                + "\n".join(lines)
            )


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
    """Return all plugins and the facts about them; a plugin's failure is not raised here."""
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
    """Drop the plugin manager, so that the next use builds a new one."""
    with _loader.lock:
        if _loader.loaded is not None:
            _loader.loaded.contributions.withdraw()
        _loader.loaded = None


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "DJANGO_CELERY_RESULTS":
        forget_plugins()


setting_changed.connect(_on_setting_changed, dispatch_uid=f"{__name__}.forget_plugins")


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager with the hook specifications and without plugins."""
    manager = pluggy.PluginManager("django_celery_results")
    manager.add_hookspecs(hookspecs)
    return manager


def manager_of(manager: pluggy.PluginManager, names: Collection[str]) -> pluggy.PluginManager:
    """Return another manager with only the plugins called ``names``, in the same order.

    pluggy's ``subset_hook_caller`` does not serve here: in 1.6 it overlooks functions that
    implement a hook under another name (``specname``).
    """
    subset = new_manager()
    for name, plugin in manager.list_name_plugin():
        if name in names:
            subset.register(plugin, name=name)
    return subset


# -- Loading -------------------------------------------------------------------------


def _build() -> LoadedPlugins:
    plugins = LoadedPlugins(new_manager(), new_manager())
    candidates = discover()
    # pluggy calls first what was registered last.
    for candidate in reversed(candidates):
        if candidate.active:
            _load(plugins, candidate)
    plugins.infos = sorted(
        (candidate.info for candidate in candidates),
        key=lambda info: info.status != "active",
    )
    plugins.dormant = [one for one in candidates if one.info.status == "disabled"]
    for info in plugins.failures:
        logger.error("Plugin %s failed to load: %s%s", info, info.reason, indented(info.traceback))
    return plugins


def _load(plugins: LoadedPlugins, candidate: Candidate) -> None:
    name = candidate.info.name
    managers = (plugins.manager, plugins.checked)
    try:
        hooks = _register(plugins.manager, candidate.plugin, name)
        plugins.checked.register(_as_called(plugins.manager, candidate), name=name)
        plugins.contributions.accept(manager_of(plugins.checked, {name}), name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        for manager in managers:
            if manager.has_plugin(name):
                manager.unregister(name=name)
        candidate.fail(error)
    else:
        candidate.info = replace(candidate.info, hooks=hooks)


def _as_called(manager: pluggy.PluginManager, candidate: Candidate) -> Any:
    """Return what the core calls for a plugin: the plugin, or a stand-in that checks it."""
    if candidate.info.built_in:
        return candidate.plugin
    return checked(manager, candidate.plugin, candidate.info.name)


def _load_readers(plugins: LoadedPlugins, candidate: Candidate) -> None:
    manager, name = new_manager(), candidate.info.name
    try:
        fetch(candidate)
        manager.register(candidate.plugin, name=name)
        plugins.contributions.accept_readers(manager, name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        message = "Results of the disabled plugin %r cannot be read: %s"
        logger.warning(message, name, describe(error), exc_info=error)


def _register(manager: pluggy.PluginManager, plugin: Any, name: str) -> tuple[str, ...]:
    """Register ``plugin`` and return the names of its hooks; raise if it is not valid."""
    version = getattr(plugin, "django_celery_results_api", hookspecs.API_VERSION)
    if version != hookspecs.API_VERSION:
        raise PluginError(
            f"it was written for version {version} of the hooks and this is version "
            f"{hookspecs.API_VERSION}; install a release of it that supports this version"
        )
    hash(plugin)  # pluggy keeps plugins in sets; an unhashable object raises here
    if (other := manager.get_name(plugin)) is not None:
        raise PluginError(f"it is the same object as the plugin {other!r}; remove one of the two")
    require_sound(manager, plugin)
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
    """Refuse a plugin that implements some storage hooks but not all that a storage needs."""
    mine = {hook for hook in hookspecs.STORAGE_HOOKS if _implements(manager, hook, name)}
    missing = [hook for hook in hookspecs.REQUIRED_STORAGE_HOOKS if hook not in mine]
    if mine and missing:
        raise PluginError(
            f"it implements {', '.join(sorted(mine))} like a storage but not "
            f"{', '.join(missing)}; to change another storage use hookimpl(wrapper=True)"
        )


def _implements(manager: pluggy.PluginManager, hook: str, name: str) -> bool:
    impls = getattr(manager.hook, hook).get_hookimpls()
    return any(impl.plugin_name == name and not impl.wrapper for impl in impls)


# -- Reading what was stored earlier --------------------------------------------------


def readers_of(plugins: LoadedPlugins, contents: Contents) -> Mapping[str, Coding]:
    """Return the codings by name, with those that decode ``contents``.

    If no active plugin has one of them, or the serializer, the disabled plugins are imported.
    """
    readers = plugins.contributions.readers
    content_type = contents.content_type
    if plugins.dormant:
        known = content_type == PYTHON_CONTENT_TYPE or is_serializer(content_type)
        if not known or set(split_encoding(contents.content_encoding)[1]) - set(readers):
            plugins.load_readers()
    return readers


def know_serializers(plugins: LoadedPlugins, accepted: Collection[str]) -> None:
    """Register the serializers in ``accepted`` that only disabled plugins have with Kombu.

    Celery refuses to start with a name in ``result_accept_content`` that Kombu does not know.
    For such a name this raises :class:`BackendMisconfigured`, which says what is missing.
    """
    if plugins.dormant and not all(map(is_serializer, accepted)):
        plugins.load_readers()
    for name in accepted:
        # Kombu accepts a content type without a serializer; then no content has that type.
        if "/" not in name and not is_serializer(name):
            raise BackendMisconfigured(
                f"CELERY_RESULT_ACCEPT_CONTENT, or CELERY_ACCEPT_CONTENT where that is not set, "
                f"has {name!r}, and there is no such serializer{instead_of(name)}"
            )
