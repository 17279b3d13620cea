"""Retrying a storage, as Celery's settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, states
from celery.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from celery.result import GroupResult

from django_celery_results import hookimpl
from django_celery_results.backends.retrying import MAX_RETRIES
from django_celery_results.exceptions import HookError, ResultUnreadable, StorageError

from .conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_celery_results.testing.fixtures import MakeBackend, Register


class Flaky:
    """A storage that fails so many times in each of its hooks."""

    django_celery_results_name = "flaky"

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self.failures = failures
        self.error = error
        self.called: list[str] = []

    @property
    def calls(self) -> int:
        """How often tasks were loaded."""
        return self.called.count("load_tasks")

    def call(self, hook: str) -> None:
        """Record the call, and fail if it is one of the first."""
        self.called.append(hook)
        if self.called.count(hook) <= self.failures:
            raise self.error(f"lost {self.called.count(hook)}")

    @hookimpl
    def open_storage(self) -> str:
        """Return an object that stands for the storage."""
        return "storage"

    @hookimpl
    def before_store(self) -> None:
        """Record the call."""
        self.called.append("before_store")

    @hookimpl
    def store_task(self) -> bool:
        """Store nothing."""
        self.call("store_task")
        return True

    @hookimpl
    def forget_task(self) -> bool:
        """Forget nothing."""
        self.call("forget_task")
        return True

    @hookimpl
    def load_tasks(self) -> list[Any]:
        """Find nothing."""
        self.call("load_tasks")
        return []

    @hookimpl
    def save_group(self) -> bool:
        """Save nothing."""
        self.call("save_group")
        return True

    @hookimpl
    def load_group(self) -> None:
        """Find nothing."""
        self.call("load_group")

    @hookimpl
    def forget_group(self) -> bool:
        """Forget nothing."""
        self.call("forget_group")
        return True

    @hookimpl
    def start_chord(self) -> bool:
        """Start nothing."""
        self.call("start_chord")
        return True

    @hookimpl
    def resize_chord(self) -> bool:
        """Change nothing."""
        self.call("resize_chord")
        return True

    @hookimpl
    def chord_part_returned(self) -> None:
        """Count nothing."""
        self.call("chord_part_returned")

    @hookimpl
    def expire_results(self) -> int:
        """Delete nothing."""
        self.call("expire_results")
        return 0

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Allow a retry after a lost connection only."""
        return isinstance(error, ConnectionError)


def flaky(
    make_backend: MakeBackend,
    registered: Register,
    failures: int,
    error: type[Exception] = ConnectionError,
    **conf: Any,
) -> Any:
    """Return a backend whose storage fails so many times, and the storage."""
    storage = Flaky(failures, error)
    registered(storage)
    conf = {"result_backend_max_retries": 2, **conf}
    backend = make_backend(
        "django-results+flaky://", result_backend_base_sleep_between_retries_ms=1, **conf
    )
    return backend, storage


@pytest.mark.parametrize(("failures", "calls"), [(0, 1), (1, 2), (2, 3)])
def test_a_failed_call_is_tried_again(
    make_backend: MakeBackend, registered: Register, failures: int, calls: int
) -> None:
    """This is the default, up to ``result_backend_max_retries`` times."""
    backend, storage = flaky(make_backend, registered, failures)
    assert [] == backend.results.load(["t1"])
    assert calls == storage.calls


def test_a_permanent_error_is_raised_at_once(
    make_backend: MakeBackend, registered: Register
) -> None:
    """It is raised unchanged."""
    backend, storage = flaky(make_backend, registered, 9, error=ValueError)
    with pytest.raises(ValueError, match="lost 1"):
        backend.get_task_meta("t1")
    assert 1 == storage.calls


def test_nothing_is_tried_again_if_retrying_is_switched_off(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The setting is ``result_backend_always_retry``."""
    backend, storage = flaky(make_backend, registered, 9, result_backend_always_retry=False)
    with pytest.raises(ConnectionError, match="lost 1"):
        backend.get_task_meta("t1")
    assert 1 == storage.calls


# -- Every operation, in one loop ----------------------------------------------------

OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "store_task": lambda backend: backend.store_result("t1", 1, states.SUCCESS),
    "load_tasks": lambda backend: backend.get_task_meta("t1"),
    "forget_task": lambda backend: backend.forget("t1"),
    "save_group": lambda backend: backend.save_group("g1", GroupResult("g1", [])),
    "load_group": lambda backend: backend.restore_group("g1"),
    "forget_group": lambda backend: backend.delete_group("g1"),
    "start_chord": lambda backend: backend.apply_chord(("g1", []), None),
    "resize_chord": lambda backend: backend.set_chord_size("g1", 1),
    "chord_part_returned": lambda backend: backend.on_chord_part_return(
        request_of("t1", group="g1"), states.SUCCESS, 1
    ),
    "expire_results": lambda backend: backend.cleanup(),
}


@pytest.mark.parametrize("hook", OPERATIONS)
def test_every_operation_is_tried_again(
    make_backend: MakeBackend, registered: Register, hook: str
) -> None:
    backend, storage = flaky(make_backend, registered, 2)
    OPERATIONS[hook](backend)
    assert 3 == storage.called.count(hook)


@pytest.mark.parametrize("hook", OPERATIONS)
def test_no_operation_is_tried_again_by_two_loops(
    make_backend: MakeBackend, registered: Register, hook: str
) -> None:
    """Three tries must not become nine. The error is Celery's, raised from the storage's."""
    backend, storage = flaky(make_backend, registered, 99)
    with pytest.raises(BackendError, match=r"failed 3 times in .* with ConnectionError") as caught:
        OPERATIONS[hook](backend)
    assert 3 == storage.called.count(hook)
    assert "lost 3" == str(caught.value.__cause__)


def test_the_bridge_repeats_no_other_hook(make_backend: MakeBackend, registered: Register) -> None:
    """Other plugins see each result once."""
    backend, storage = flaky(make_backend, registered, 2)
    backend.store_result("t1", 1, states.SUCCESS)
    assert 1 == storage.called.count("before_store")


@pytest.mark.parametrize(
    ("hook", "kind", "attributes"),
    [
        ("store_task", BackendStoreError, {"task_id": "t1", "state": states.SUCCESS}),
        ("load_tasks", BackendGetMetaError, {"task_id": "t1"}),
    ],
)
def test_celerys_errors_name_the_task(
    make_backend: MakeBackend,
    registered: Register,
    hook: str,
    kind: type[Exception],
    attributes: dict[str, str],
) -> None:
    """Celery's own backends raise the same errors when the retries run out."""
    backend, _ = flaky(make_backend, registered, 99)
    with pytest.raises(kind) as caught:
        OPERATIONS[hook](backend)
    assert attributes == {name: getattr(caught.value, name) for name in attributes}


def test_celerys_limit_for_one_call_holds(make_backend: MakeBackend, registered: Register) -> None:
    """Celery 5.7's worker does not wait long for the state of a task that it has lost."""
    backend, storage = flaky(make_backend, registered, 99)
    with pytest.raises(BackendGetMetaError):
        backend._ensure_retryable(
            backend._get_task_meta_for,
            task_id="t1",
            max_retries=1,
            fallback_exc=BackendGetMetaError,
            fallback_msg="failed to get meta",
        )
    assert 2 == storage.calls


# -- What is logged ------------------------------------------------------------------


def test_each_retry_is_logged_once(
    make_backend: MakeBackend, registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    """Each entry names the error, the storage and the try; the last says that it gives up."""
    backend, _ = flaky(make_backend, registered, 99)
    with pytest.raises(BackendError):
        backend.get_task_meta("t1")
    where = "(in the hook 'load_tasks' of the django-celery-results plugin 'flaky')"
    expected = [
        ("WARNING", f"Storage 'flaky' failed, try 1: ConnectionError: lost 1 {where}"),
        ("WARNING", f"Storage 'flaky' failed, try 2: ConnectionError: lost 2 {where}"),
        ("ERROR", "Storage 'flaky' failed 3 times in"),
    ]
    assert len(expected) == len(caplog.records)
    for (level, start), record in zip(expected, caplog.records, strict=True):
        assert level == record.levelname
        assert record.getMessage().startswith(start)


# -- The settings --------------------------------------------------------------------


class Prefixed:
    """A configuration with a namespace."""

    CELERY_RESULT_BACKEND = "django-db"
    CELERY_RESULT_BACKEND_ALWAYS_RETRY = False
    CELERY_RESULT_BACKEND_MAX_RETRIES = 3


class Lower:
    """A configuration without a namespace."""

    result_backend = "django-db"
    result_backend_always_retry = False
    result_backend_max_retries = 3


class Silent:
    """A configuration without the settings for retries."""

    CELERY_RESULT_BACKEND = "django-db"


def configured(configure: Callable[[Celery], Any]) -> tuple[bool, float]:
    """Return whether and how often the backend of an app retries."""
    app = Celery("tests", set_as_current=False)
    configure(app)
    backend: Any = app.backend
    return backend.always_retry, backend.max_retries


VALUES = {"result_backend": "django-db", "result_backend_always_retry": False}
VALUES["result_backend_max_retries"] = 3


@pytest.mark.parametrize(
    "configure",
    [
        lambda app: app.conf.update(VALUES),
        lambda app: app.add_defaults(VALUES),
        lambda app: app.config_from_object(Lower),
        lambda app: app.config_from_object(Prefixed, namespace="CELERY"),
        lambda app: app.config_from_object(Prefixed),
        lambda app: app.config_from_object(
            type("Own", (), {f"my_{name}": value for name, value in VALUES.items()}), namespace="my"
        ),
    ],
    ids=["update", "defaults", "object", "namespace", "old names", "own namespace"],
)
def test_the_sites_settings_hold(configure: Callable[[Celery], Any]) -> None:
    """A setting counts wherever the site gives it, even if it is Celery's default."""
    assert (False, 3) == configured(configure)


@pytest.mark.parametrize(
    "configure",
    [
        lambda app: app.conf.update(result_backend="django-db"),
        lambda app: app.config_from_object(Silent, namespace="CELERY"),
    ],
    ids=["update", "namespace"],
)
def test_temporary_errors_are_tried_again_by_default(configure: Callable[[Celery], Any]) -> None:
    """The number of retries is limited."""
    assert (True, MAX_RETRIES) == configured(configure)


def test_the_usual_waits_are_half_a_minute_on_average(backend: Any) -> None:
    """Each wait is random, so they are 60 seconds at most and half of that on average."""
    longest = [
        min(backend.max_sleep_between_retries_ms, backend.base_sleep_between_retries_ms * 2**retry)
        for retry in range(1, MAX_RETRIES + 1)
    ]
    assert 60_220 == sum(longest)


# -- What is final -------------------------------------------------------------------


def test_a_storage_without_can_retry_is_not_retried(
    make_backend: MakeBackend, registered: Register
) -> None:
    """No answer counts as no."""
    backend, _ = flaky(make_backend, registered, 0)
    assert not backend.exception_safe_to_retry(ValueError())


class Generous(Flaky):
    """A plugin that allows a retry after any error."""

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Allow it."""
        return isinstance(error, Exception)


def test_this_packages_own_errors_are_final(
    make_backend: MakeBackend, registered: Register
) -> None:
    """An unreadable row stays unreadable, so a storage decides only about its own errors."""
    registered(Generous(0))
    backend = make_backend("django-results+flaky://")
    errors = [ResultUnreadable("corrupt"), HookError("no answer"), BackendError("used up")]
    errors += [StorageError("no lock")]
    assert [False, False, False, True] == [
        backend.exception_safe_to_retry(error) for error in errors
    ]
