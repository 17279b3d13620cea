"""Calls the hooks: a storage's hooks on one storage, every other hook on all plugins.

An error that a plugin raises gets a note that names the plugin and the hook.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from ..exceptions import BackendMisconfigured, HookError, PluginError
from ..hookspecs import OBSERVER_HOOKS, STORAGE_HOOKS
from ..logs import annotate, apart, frames_of
from .answers import GUARDS
from .loading import LoadedPlugins, get_plugin_manager, hook_names, load_plugins, manager_of

if TYPE_CHECKING:
    from types import FrameType

    from pluggy import HookCaller, HookImpl

__all__ = ["Hooks"]

logger = logging.getLogger(__name__)


class Hooks:
    """The hooks as one backend calls them.

    The hooks of a storage reach only the storage called ``storage``; every other hook reaches
    all plugins. Raises :class:`PluginError` if a plugin failed to load (with
    ``STRICT_PLUGINS``) and :class:`BackendMisconfigured` if there is no such storage.
    """

    def __init__(self, storage: str) -> None:
        get_plugin_manager()
        self.plugins = load_plugins()
        self.storage = storage
        _require_storage(self.plugins, storage)
        self._callers = self._make_callers()
        self._observers = {name: list(self.plugins.callers(name)) for name in OBSERVER_HOOKS}

    def _make_callers(self) -> dict[str, HookCaller]:
        everybody = self.plugins.checked
        names = {name for name, _ in everybody.list_name_plugin()}
        others = set(self.plugins.storages()) - {self.storage}
        mine = manager_of(everybody, names - others)
        return {
            name: getattr((mine if name in STORAGE_HOOKS else everybody).hook, name)
            for name in hook_names()
        }

    def listens(self, *hooks: str) -> bool:
        """Return whether any plugin implements one of ``hooks``."""
        return any(getattr(self.plugins.manager.hook, hook).get_hookimpls() for hook in hooks)

    def implementers(self, hook: str) -> set[str]:
        """Return the names of the plugins that implement or wrap ``hook`` for this storage."""
        return {impl.plugin_name for impl in self._callers[hook].get_hookimpls()}

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call ``hook`` and return its answer, ``None`` if no plugin implements it."""
        caller = self._callers[hook]
        if not caller.get_hookimpls():
            # Most hooks that a store calls have no implementation, and this test takes less
            # time than pluggy needs to call nothing.
            return None
        try:
            return caller(**arguments)
        except Exception as error:
            self._blame(error, hook)
            raise

    def ask(self, hook: str, **arguments: Any) -> Any:
        """Call a hook that must be answered; raise :class:`HookError` if the answer is ``None``."""
        answer = self.call(hook, **arguments)
        if answer is None:
            raise HookError(
                f"No plugin answered the hook {hook!r} for storage {self.storage!r}; "
                "the storage does not implement it, or returned None"
            )
        return answer

    def observe(self, hook: str, /, **arguments: Any) -> None:
        """Call ``hook`` on each plugin separately; log any error and go on to the next plugin."""
        handled = sys.exc_info()[1]
        for name, caller in self._observers[hook]:
            try:
                caller(**arguments)
            except Exception as error:
                message = "Plugin %r failed in the hook %r; the result is not affected"
                logger.exception(message, name, hook, exc_info=apart(error, handled))
                if hook != "observer_failed":
                    self.observe("observer_failed", plugin=name, hook=hook, error=error)

    def _blame(self, error: Exception, hook: str) -> None:
        """Note on ``error`` which plugin's implementation of ``hook`` raised it."""
        impls = self._callers[hook].get_hookimpls()
        # The last match is the innermost frame: a wrapper's frame is outside the frame of the
        # implementation that raised.
        name = None
        for impl_frame in frames_of(error):
            name = next((one.plugin_name for one in impls if _runs(impl_frame, one)), name)
        if name is not None:
            annotate(error, f"in the hook {hook!r} of the django-celery-results plugin {name!r}")


def _runs(frame: FrameType, impl: HookImpl) -> bool:
    """Return whether ``frame`` runs the function of ``impl``."""
    code = getattr(impl.function, "__code__", None)
    if frame.f_code is not code:
        return False
    if code in GUARDS:
        function = frame.f_locals["function"]
        return function is impl.function.__wrapped__  # type: ignore[attr-defined]  # of a guard
    # Two plugins that are instances of one class share the code of its methods.
    instance = getattr(impl.function, "__self__", None)
    return instance is None or frame.f_locals.get(code.co_varnames[0]) is instance


def _require_storage(plugins: LoadedPlugins, name: str) -> None:
    if name in plugins.storages():
        return
    info = plugins.info(name)
    if info is not None and info.status != "active":
        raise PluginError(
            f"The result backend needs the plugin {info}, but its status is {info.status}: "
            f"{info.reason}"
        )
    raise BackendMisconfigured(
        f"There is no result storage {name!r}; the scheme of the result backend URL must name "
        f"a storage plugin. Installed: {', '.join(plugins.storages())}"
        + "".join(f"; {info} failed to load: {info.reason}" for info in plugins.failures)
    )
