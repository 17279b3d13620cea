"""Calling the hooks: on one storage, with the plugin named in what goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any

from .exceptions import BackendMisconfigured, HookError, PluginError
from .hookspecs import STORAGE_HOOKS
from .plugins import LoadedPlugins, get_plugin_manager, hook_names, load_plugins

if TYPE_CHECKING:
    from pluggy import HookCaller

__all__ = ["Hooks"]

logger = logging.getLogger(__name__)

#: Hooks in which one plugin's error must not harm anything else.
OBSERVERS = ("after_store", "after_expire")


class Hooks:
    """The hooks as one backend calls them: those of its storage, and everybody's."""

    def __init__(self, storage: str) -> None:
        get_plugin_manager()
        self.plugins = load_plugins()
        self.storage = storage
        _require_storage(self.plugins, storage)
        self._callers = self._make_callers()
        self._observers = {name: list(self._each_plugin(name)) for name in OBSERVERS}

    def _make_callers(self) -> dict[str, HookCaller]:
        manager = self.plugins.manager
        callers: dict[str, HookCaller] = {
            name: getattr(manager.hook, name) for name in hook_names()
        }
        others = [
            manager.get_plugin(name) for name in self.plugins.storages() if name != self.storage
        ]
        for name in STORAGE_HOOKS:
            callers[name] = manager.subset_hook_caller(name, remove_plugins=others)
        return callers

    def _each_plugin(self, hook: str) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Yield, in calling order, each plugin that implements ``hook`` with its own caller."""
        manager = self.plugins.manager
        everybody = manager.get_plugins()
        for impl in reversed(getattr(manager.hook, hook).get_hookimpls()):
            others = everybody - {impl.plugin}
            yield impl.plugin_name, manager.subset_hook_caller(hook, remove_plugins=others)

    def listens(self, *hooks: str) -> bool:
        """Return whether any plugin implements one of ``hooks``."""
        return any(getattr(self.plugins.manager.hook, hook).get_hookimpls() for hook in hooks)

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call ``hook`` and return its answer; an error carries its plugin's name."""
        try:
            return self._callers[hook](**arguments)
        except Exception as error:
            self._blame(error, hook)
            raise

    def ask(self, hook: str, **arguments: Any) -> Any:
        """Call a hook that has to be answered; raise :class:`HookError` if it is not."""
        answer = self.call(hook, **arguments)
        if answer is None:
            raise HookError(
                f"No plugin answered the hook {hook!r} for storage {self.storage!r}; "
                "the storage does not implement it, or returned None"
            )
        return answer

    def observe(self, hook: str, **arguments: Any) -> None:
        """Call each plugin's ``hook`` by itself; what one raises is logged, not raised."""
        for name, caller in self._observers[hook]:
            try:
                caller(**arguments)
            except Exception:
                logger.exception(
                    "Plugin %r failed in the hook %r; the result is not affected", name, hook
                )

    def _blame(self, error: Exception, hook: str) -> None:
        """Note on ``error`` which plugin's implementation of ``hook`` it came out of."""
        impls = self._callers[hook].get_hookimpls()
        owners = {impl.function.__code__: impl.plugin_name for impl in impls}
        name = next((owners[code] for code in _codes(error) if code in owners), None)
        if name is not None:
            note = f"in the hook {hook!r} of the django-celery-results plugin {name!r}"
            # BaseException.add_note came with Python 3.11.
            error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined]  # set on 3.10 too


def _codes(error: Exception) -> Iterator[CodeType]:
    frame = error.__traceback__
    while frame is not None:
        yield frame.tb_frame.f_code
        frame = frame.tb_next


def _require_storage(plugins: LoadedPlugins, name: str) -> None:
    if name in plugins.storages():
        return
    info = plugins.info(name)
    if info is not None and info.status != "active":
        raise PluginError(
            f"The result backend needs the plugin {info}, which is {info.status}: {info.reason}"
        )
    raise BackendMisconfigured(
        f"There is no result storage {name!r}; the scheme of the result backend URL names "
        f"a storage plugin, and these are installed: {', '.join(plugins.storages())}"
    )
