"""Calling the hooks: on one storage, with the plugin named in what goes wrong."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from .exceptions import BackendMisconfigured, HookError, PluginError
from .hookspecs import STORAGE_HOOKS
from .logs import apart
from .notes import annotate
from .plugins import LoadedPlugins, get_plugin_manager, hook_names, load_plugins, manager_of

if TYPE_CHECKING:
    from pluggy import HookCaller, HookImpl

    from .records import StoredTask

__all__ = ["Hooks"]

logger = logging.getLogger(__name__)

#: Hooks in which one plugin's error must not harm anything else.
OBSERVERS = ("after_store", "after_expire", "storage_retried", "observer_failed")
#: Hooks whose wrappers may want to know what they change: they are given ``present``.
CHANGES = ("store_task", "forget_task")


class Hooks:
    """The hooks as one backend calls them: those of its storage, and everybody's."""

    def __init__(self, storage: str) -> None:
        get_plugin_manager()
        self.plugins = load_plugins()
        self.storage = storage
        _require_storage(self.plugins, storage)
        self._callers = self._make_callers()
        self._observers = {name: list(self.plugins.callers(name)) for name in OBSERVERS}

    def _make_callers(self) -> dict[str, HookCaller]:
        everybody = self.plugins.manager
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
        """Return the names of the plugins that implement or wrap ``hook``, as it is called here."""
        return {impl.plugin_name for impl in self._callers[hook].get_hookimpls()}

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call ``hook`` and return its answer; an error carries its plugin's name.

        The answer of a hook that nobody implements is ``None``.
        """
        caller = self._callers[hook]
        if not caller.get_hookimpls():
            # As a rule nobody does, of the hooks that a store calls on its way: pluggy takes
            # longer to find that out.
            return None
        if hook in CHANGES:
            arguments["present"] = partial(self._present, arguments)
        try:
            return caller(**arguments)
        except Exception as error:
            self._blame(error, hook)
            raise

    def _present(
        self, changing: Mapping[str, Any], contents: Sequence[str] | None
    ) -> StoredTask | None:
        """Return what the storage has now of the task that a call with these arguments changes."""
        task_id = changing["task"].task_id if "task" in changing else changing["task_id"]
        found: Sequence[StoredTask] = self.ask(
            "load_tasks",
            storage=changing["storage"],
            task_ids=[task_id],
            primary=True,
            contents=contents,
        )
        return found[0] if found else None

    def ask(self, hook: str, **arguments: Any) -> Any:
        """Call a hook that has to be answered; raise :class:`HookError` if it is not."""
        answer = self.call(hook, **arguments)
        if answer is None:
            raise HookError(
                f"No plugin answered the hook {hook!r} for storage {self.storage!r}; "
                "the storage does not implement it, or returned None"
            )
        return answer

    def observe(self, hook: str, /, **arguments: Any) -> None:
        """Call each plugin's ``hook`` by itself; what one raises is logged, not raised."""
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
        """Note on ``error`` which plugin's implementation of ``hook`` it came out of."""
        impls = self._callers[hook].get_hookimpls()
        # The innermost: a wrapper stands around the implementation that raised.
        name = None
        for frame in _frames(error):
            name = next((impl.plugin_name for impl in impls if _runs(frame, impl)), name)
        if name is not None:
            annotate(error, f"in the hook {hook!r} of the django-celery-results plugin {name!r}")


def _frames(error: Exception) -> Iterator[FrameType]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _runs(frame: FrameType, impl: HookImpl) -> bool:
    code = getattr(impl.function, "__code__", None)
    if frame.f_code is not code:
        return False
    # Two plugins that are instances of one class share the code of its methods.
    instance = getattr(impl.function, "__self__", None)
    return instance is None or frame.f_locals.get(code.co_varnames[0]) is instance


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
        + "".join(f"; {info} failed to load: {info.reason}" for info in plugins.failures)
    )
