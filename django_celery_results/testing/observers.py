"""The suite for observers."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from celery import states
from celery.app.task import Context
from celery.result import GroupResult

from ..hookspecs import OBSERVER_HOOKS
from ..records import Contents, ExpiryBatch, StoredTask, TaskRecord
from .recording import HookCall, RecordingPlugin
from .registering import find_plugin, new_manager
from .suites import PluginConformance

if TYPE_CHECKING:
    import pluggy
    from pluggy import HookImpl

    from ..backends import DatabaseBackend
    from .fixtures import MakeBackend, Register

__all__ = ["ObserverConformance"]

ALL_STATES = ("PROGRESS", states.STARTED, states.RETRY, *sorted(states.READY_STATES))


class Watch:
    """Wraps an observer's functions: records their calls and raises ``error`` after them if set.

    ``observer_failed`` is recorded but never made to fail, because it reports such failures.
    """

    def __init__(self, plugin: object, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[HookCall] = []
        self.error: Exception | None = None
        manager = new_manager()
        manager.register(plugin)
        impls = [(hook, impl) for hook in OBSERVER_HOOKS for impl in _impls(manager, hook)]
        #: The hooks that the plugin implements.
        self.hooks = {hook for hook, _ in impls}
        for hook, impl in impls:
            monkeypatch.setattr(plugin, _attribute(plugin, impl), self._watched(hook, impl))

    def _watched(self, hook: str, impl: HookImpl) -> Callable[..., Any]:
        function: Callable[..., Any] = impl.function

        # pluggy takes the marker and the argument names from the wrapped function.
        @wraps(function)
        def observe(*arguments: Any) -> None:
            function(*arguments)
            self.calls.append(HookCall(hook, dict(zip(impl.argnames, arguments, strict=True))))
            if self.error is not None and hook != "observer_failed":
                raise self.error

        return observe

    def require(self, hook: str) -> None:
        """Skip the test if the plugin does not implement ``hook``."""
        if hook not in self.hooks:
            pytest.skip(f"the plugin does not implement {hook}")


def _attribute(plugin: object, impl: HookImpl) -> str:
    """Return the plugin's attribute that holds the function; its name may differ."""
    return next(name for name in dir(plugin) if getattr(plugin, name, None) == impl.function)


def _impls(manager: pluggy.PluginManager, hook: str) -> list[HookImpl]:
    impls: list[HookImpl] = getattr(manager.hook, hook).get_hookimpls()
    return [impl for impl in impls if not impl.wrapper]


class ObserverConformance(PluginConformance):
    """The suite that every observer must pass.

    An observer implements one or more of ``after_store``, ``after_expire``,
    ``storage_retried`` and ``observer_failed``.

    Subclass the suite and name the plugin::

        class TestSignal(ObserverConformance):
            plugin = "myplugins.finished_signal"
    """

    #: Values that tasks return, in addition to strings, numbers and ``None``.
    values: ClassVar[Sequence[Any]] = ({"nested": [1, {"two": None}]}, ["ä 🎉" * 1000], "")

    @pytest.fixture(autouse=True)
    def manager(
        self, registered: Register, monkeypatch: pytest.MonkeyPatch
    ) -> pluggy.PluginManager:
        """The plugin manager, with the observer, a second observer, and the built-in plugins."""
        plugin: Any = find_plugin(self.plugin)
        observer = plugin() if inspect.isclass(plugin) else plugin
        self.watch = Watch(observer, monkeypatch)
        self.other = RecordingPlugin()
        return registered(observer, self.other, **self.options)

    @pytest.fixture(autouse=True)
    def _complaints(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.ERROR, "django_celery_results.registry.calling")
        self.caplog = caplog

    def complaints(self) -> list[str]:
        """Return the logged messages about observers that failed."""
        wanted = [
            one
            for one in self.caplog.records
            if one.name == "django_celery_results.registry.calling"
        ]
        return [record.getMessage() for record in wanted]

    def test_plugin_observes(self) -> None:
        """It implements an observer hook, not as a wrapper, since that would wrap nothing."""
        assert self.watch.hooks != set(), "the plugin implements no observer hook itself"

    @pytest.mark.parametrize("state", ALL_STATES)
    def test_each_store_is_observed_once(
        self, database_backend: DatabaseBackend, state: str
    ) -> None:
        """In any state, and without an error."""
        self.watch.require("after_store")
        result = ValueError("no") if state in states.EXCEPTION_STATES else "done"
        database_backend.store_result("task", result, state, request=_request())

        assert (1, []) == (len(self.watch.calls), self.complaints())

    def test_what_is_not_written_is_observed(self, database_backend: DatabaseBackend) -> None:
        """A late message, which changes nothing, is not an error."""
        self.watch.require("after_store")
        for state in (states.SUCCESS, states.STARTED):
            database_backend.store_result("task", "done", state, request=_request())

        written = [arguments["written"] for arguments in self.other.of("after_store")]
        assert ([True, False], 2) == (written, len(self.watch.calls))
        assert [] == self.complaints()

    def test_task_of_which_little_is_known_is_observed(
        self, database_backend: DatabaseBackend
    ) -> None:
        """A result stored by hand has neither name, worker nor arguments."""
        self.watch.require("after_store")
        database_backend.store_result("task", None, states.SUCCESS)

        assert (1, []) == (len(self.watch.calls), self.complaints())

    def test_values_of_any_kind_are_observed(self, database_backend: DatabaseBackend) -> None:
        """Large, nested or empty."""
        self.watch.require("after_store")
        for number, value in enumerate(self.values):
            database_backend.store_result(f"task{number}", value, states.SUCCESS)

        assert (len(self.values), []) == (len(self.watch.calls), self.complaints())

    def test_what_it_sees_is_left_as_it_is(self, manager: pluggy.PluginManager) -> None:
        """Other observers and the task's caller share these objects."""
        self.watch.require("after_store")
        seen = (_record(), _stored())
        before = deepcopy(seen)
        manager.hook.after_store(task=seen[0], stored=seen[1], written=True)

        assert before == seen

    def test_batch_is_left_as_it_is(self, manager: pluggy.PluginManager) -> None:
        """Other observers share these objects."""
        self.watch.require("after_expire")
        batch = ExpiryBatch(storage="some", kind="task", ids=["task"], records=[_stored()])
        before = deepcopy(batch)
        manager.hook.after_expire(batch=batch)

        assert before == batch

    def test_its_error_loses_nothing(self, database_backend: DatabaseBackend) -> None:
        """The result is stored, other observers are called, and the error is logged."""
        self.watch.require("after_store")
        self.watch.error = RuntimeError("the observer failed")
        database_backend.store_result("task", "done", states.SUCCESS, request=_request())

        heard = len(self.other.of("after_store"))
        assert ("done", 1) == (database_backend.get_result("task"), heard)
        assert ["the result is not affected"] == [one.split("; ")[1] for one in self.complaints()]

    @pytest.mark.django_db
    def test_each_expired_batch_is_observed_once(self, make_backend: MakeBackend) -> None:
        """Both tasks and groups. An error of the observer does not stop the deletion."""
        self.watch.require("after_expire")
        self.watch.error = RuntimeError("the observer failed")
        backend = make_backend(result_expires=0.001)
        for task_id in ("one", "two"):
            backend.store_result(task_id, task_id, states.SUCCESS)
        GroupResult("group", [backend.app.AsyncResult("one")], app=backend.app).save()
        time.sleep(0.01)
        backend.cleanup()

        kinds = [arguments["batch"].kind for arguments in self.other.of("after_expire")]
        assert (["task", "group"], 2) == (kinds, len(self._expired()))
        assert states.PENDING == backend.get_state("one")

    def test_batch_without_records_is_observed(self, manager: pluggy.PluginManager) -> None:
        """A storage that knows only the ids passes no records."""
        self.watch.require("after_expire")
        manager.hook.after_expire(batch=ExpiryBatch(storage="some", kind="task", ids=["one"]))

        assert 1 == len(self._expired())

    @pytest.mark.parametrize("hook", ["open_storage", "store_task", "expire_results"])
    def test_each_retry_is_observed(self, manager: pluggy.PluginManager, hook: str) -> None:
        """For any hook, and for a storage that the plugin has never heard of."""
        self.watch.require("storage_retried")
        error = ConnectionError("lost")
        manager.hook.storage_retried(storage_name="some", hook=hook, error=error, wait=0.1)

        assert 1 == len(self.watch.calls)

    @pytest.mark.parametrize("hook", ["after_store", "after_expire", "storage_retried"])
    def test_failure_of_another_is_observed(self, manager: pluggy.PluginManager, hook: str) -> None:
        """For any plugin and any plugin name."""
        self.watch.require("observer_failed")
        error = ValueError("no more")
        manager.hook.observer_failed(plugin="some.plugin:Class", hook=hook, error=error)

        assert 1 == len(self.watch.calls)

    def _expired(self) -> list[HookCall]:
        return [call for call in self.watch.calls if call.hook == "after_expire"]


def _request() -> Context:
    return Context(
        id="task", task="shop.pay", hostname="worker@host", retries=1, argsrepr="(1,)",
        kwargsrepr="{}", delivery_info={"routing_key": "celery"},
    )  # fmt: skip


def _record() -> TaskRecord:
    return TaskRecord(
        task_id="task", status=states.SUCCESS, name="shop.pay", result={"list": [1]}, args="(1,)"
    )


def _stored() -> StoredTask:
    contents = Contents(
        fields={"result": '{"list": [1]}', "args": '"(1,)"'},
        content_type="application/json",
        content_encoding="utf-8",
    )
    return StoredTask(task_id="task", status=states.SUCCESS, name="shop.pay", contents=contents)
