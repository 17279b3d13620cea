"""The counters, on both backends, and that counting harms no result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.signals import worker_process_shutdown
from prometheus_client import REGISTRY

from django_celery_results import hookimpl
from django_celery_results.models import TaskResult
from django_celery_results.records import Contents
from django_celery_results.testing import ObserverConformance
from django_celery_results_prometheus import metrics, plugin
from django_celery_results_prometheus.labels import state_label, task_label
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

Counted = Callable[..., float]


class TestObservers(ObserverConformance):
    """Runs the suite for observers."""

    plugin = "prometheus"


@pytest.fixture(autouse=True)
def _no_labels_yet() -> Iterator[None]:
    """Clears the labels, so that every test can fill them."""
    task_label.forget()
    state_label.forget()
    yield
    task_label.forget()
    state_label.forget()


def value(name: str, labels: dict[str, str]) -> float:
    """Return a sample's value in the registry."""
    return REGISTRY.get_sample_value(f"celery_results_{name}", labels) or 0


@pytest.fixture
def counted() -> Counted:
    """Returns a function that gives a counter's growth since the start of the test."""
    before = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }

    def counted(name: str, **labels: str) -> float:
        key = f"celery_results_{name}", tuple(sorted(labels.items()))
        return value(name, labels) - before.get(key, 0)

    return counted


@pytest.fixture(params=["django-db", "django-cache://default?serializer=json"])
def backend(request: pytest.FixtureRequest, make_backend: MakeBackend, own_cache_keys: Any) -> Any:
    """A backend of each kind, which stores task names."""
    own_cache_keys("default")
    return make_backend(request.param, result_extended=True)


def store(backend: Any, result: Any = 1, state: str = "SUCCESS", **facts: Any) -> None:
    """Store a result as a worker does."""
    task_id = facts.pop("task_id", "t1")
    request = request_of(task_id, **{"task": "shop.pay", **facts})
    backend.store_result(task_id, result, state, request=request)


# -- Stored and read -----------------------------------------------------------------


@pytest.mark.parametrize("state", ["SUCCESS", "STARTED", "PROGRESS"])
def test_stored_result_is_counted(backend: Any, counted: Counted, state: str) -> None:
    """By task and state."""
    store(backend, state=state)
    assert 1 == counted("stored_total", task="shop.pay", state=state)


def test_late_state_is_not_counted(backend: Any, counted: Counted) -> None:
    """It was not written."""
    store(backend)
    store(backend, state="STARTED")
    assert 0 == counted("stored_total", task="shop.pay", state="STARTED")


def test_task_is_counted_by_name_even_if_the_name_is_not_stored(
    make_backend: MakeBackend, counted: Counted
) -> None:
    """At the time of storing; a reader does not know the name."""
    own = make_backend()
    store(own)
    own.get_result("t1")
    assert 1 == counted("stored_total", task="shop.pay", state="SUCCESS")
    assert 1 == counted("read_total", task="unknown", state="SUCCESS")


def test_read_result_is_counted(backend: Any, counted: Counted) -> None:
    """Each time it is read."""
    store(backend)
    assert [1, 1] == [backend.get_task_meta("t1", cache=False)["result"] for _ in range(2)]
    assert 2 == counted("read_total", task="shop.pay", state="SUCCESS")


def test_missing_result_is_not_counted(backend: Any, counted: Counted) -> None:
    """No result was read, although the time was measured."""
    assert "PENDING" == backend.get_state("nobody")
    assert 0 == counted("read_total", task="unknown", state="PENDING")
    assert 1 == counted("storage_seconds_count", hook="load_tasks")


def test_stored_bytes_are_counted(make_backend: MakeBackend, counted: Counted) -> None:
    """In all columns with contents."""
    own = make_backend(result_extended=True)
    store(own, result="ä🎉")
    own.get_result("t1")
    row = TaskResult.objects.get()
    columns = (row.result, row.traceback, row.meta, row.task_args, row.task_kwargs)
    expected = sum(len((text or "").encode()) for text in columns)
    sizes = [counted(f"{what}_bytes_total", task="shop.pay") for what in ("stored", "read")]
    assert [expected, expected] == sizes


@pytest.mark.parametrize(
    ("content", "size"), [("ab", 2), ("ä🎉", 6), (b"abc", 3), (None, 0), ({"an": "object"}, 0)]
)
def test_size_is_counted_in_utf_8(content: Any, size: int) -> None:
    """Objects that a cache stores as such count as 0."""
    contents = Contents(fields={"result": content}, content_type="a/b", content_encoding="utf-8")
    assert size == plugin.size_of(contents)


def test_time_of_storing_is_measured(backend: Any, counted: Counted) -> None:
    """In seconds, for each call."""
    store(backend)
    assert 1 == counted("storage_seconds_count", hook="store_task")
    assert 0 < counted("storage_seconds_sum", hook="store_task") < 5


@pytest.mark.django_db(transaction=True)
def test_time_of_a_chords_part_is_measured(make_backend: MakeBackend, counted: Counted) -> None:
    """It is stored and counted in one step, so there is one measurement."""
    own = make_backend()
    body = own.app.signature("body")
    own.apply_chord(("g1", [own.app.AsyncResult(one) for one in "ab"]), body)
    own.mark_as_done("a", 1, request_of("a", group="g1", chord=body))
    times = [counted("storage_seconds_count", hook=one) for one in ("store_part", "store_task")]
    assert [1, 0] == times


# -- Deleted -------------------------------------------------------------------------


def test_forgotten_result_is_counted(backend: Any, counted: Counted) -> None:
    """Once; forgetting a missing result is not counted."""
    store(backend)
    backend.forget("t1")
    backend.forget("t1")
    assert 1 == counted("deleted_total", reason="forgotten")


def test_expired_results_are_counted(make_backend: MakeBackend, counted: Counted) -> None:
    """The storage reports the number; a cache expires items itself and reports none."""
    own = make_backend(result_expires=0.001)
    for number in range(3):
        store(own, task_id=f"t{number}")
    TaskResult.objects.update(date_done="2020-01-01T00:00Z")
    own.cleanup()
    assert (3, 0) == (counted("deleted_total", reason="expired"), TaskResult.objects.count())


def test_expired_rows_are_not_read_to_be_counted(make_backend: MakeBackend) -> None:
    """No plugin listens to batches, so they stay as large and cheap as without the plugin."""
    assert None is make_backend().expirer.expiry(1).before


# -- Errors --------------------------------------------------------------------------


class Flaky:
    """A storage that fails on its first write, and an observer that always fails."""

    django_celery_results_name = "flaky"

    def __init__(self) -> None:
        self.failed = False

    @hookimpl
    def open_storage(self) -> str:
        """Return a stand-in for a storage."""
        return "storage"

    @hookimpl
    def store_task(self) -> bool:
        """Fail on the first call."""
        if not self.failed:
            self.failed = True
            raise ConnectionError("lost")
        return True

    @hookimpl
    def load_tasks(self) -> None:
        """Return no answer, which is an error."""

    @hookimpl
    def forget_task(self) -> None:
        """Return no answer either."""

    @hookimpl
    def expire_results(self) -> None:
        """Return no answer here, too."""

    @hookimpl
    def can_retry(self, error: Exception) -> bool:
        """Retry only lost connections."""
        return isinstance(error, ConnectionError)

    @hookimpl
    def after_store(self) -> None:
        """Raise an error."""
        raise RuntimeError("tired")


@pytest.fixture
def flaky(configure: Configure, make_backend: MakeBackend) -> Any:
    """A backend with this storage."""
    configure(PLUGINS=[Flaky()])
    url = "django-results+flaky://"
    return make_backend(url, result_backend_base_sleep_between_retries_ms=1)


def test_retry_is_counted(flaky: Any, counted: Counted) -> None:
    """Together with the error before it, and the times of both calls."""
    store(flaky)
    assert 1 == counted("storage_retries_total", storage="flaky", hook="store_task")
    assert 1 == counted("storage_errors_total", hook="store_task")
    assert 2 == counted("storage_seconds_count", hook="store_task")


def test_failure_of_an_observer_is_counted(flaky: Any, counted: Counted) -> None:
    """By plugin and hook."""
    store(flaky)
    assert 1 == counted("observer_failures_total", plugin="flaky", hook="after_store")


def test_missing_answer_of_a_storage_is_left_to_the_core(flaky: Any, counted: Counted) -> None:
    """The errors are the same as without the plugin."""
    with pytest.raises(Exception, match="No plugin answered the hook 'load_tasks'"):
        flaky.get_result("t1")
    with pytest.raises(Exception, match="No plugin answered the hook 'forget_task'"):
        flaky.forget("t1")
    flaky.cleanup()
    assert [0, 0] == [counted("deleted_total", reason=one) for one in ("forgotten", "expired")]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets all counting fail, as on a full disk."""

    def fail(*_labels: str) -> None:
        raise OSError("no space left on device")

    for metric in metrics.COUNTED:
        monkeypatch.setattr(metric, "labels", fail)


@pytest.mark.usefixtures("broken")
def test_broken_counters_harm_no_result(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is stored, read and forgotten; the log has the errors."""
    store(backend, result="whole")
    assert "whole" == backend.get_result("t1")
    backend.forget("t1")
    backend.cleanup()
    assert "PENDING" == backend.get_state("t1")
    own = {(one.name, one.levelno) for one in caplog.records}
    assert {
        (plugin.logger.name, logging.ERROR),
        ("django_celery_results.registry.calling", 40),
    } == own


@pytest.mark.usefixtures("broken")
def test_broken_counters_hide_no_error(flaky: Any) -> None:
    """The storage's error reaches the caller unchanged."""
    flaky.always_retry = False
    with pytest.raises(ConnectionError, match="lost"):
        store(flaky)


# -- Labels --------------------------------------------------------------------------


def test_tasks_above_the_limit_are_counted_as_other(
    backend: Any, configure: Configure, counted: Counted
) -> None:
    """The first names stay separate."""
    configure(prometheus={"MAX_TASKS": 2})
    for number, name in enumerate(["one", "two", "three", "four", "one"]):
        store(backend, task=name, task_id=f"t{number}")
    names = ["one", "two", "three", "other"]
    assert [2, 1, 0, 2] == [counted("stored_total", task=one, state="SUCCESS") for one in names]


def test_states_above_the_limit_are_counted_as_other(
    backend: Any, configure: Configure, counted: Counted
) -> None:
    """Celery's own states do not count towards the limit."""
    configure(prometheus={"MAX_STATES": 1})
    for state in ("PENDING", "STARTED", "AT 1 %", "AT 2 %", "AT 3 %", "RETRY", "FAILURE"):
        result = ValueError() if state in ("RETRY", "FAILURE") else None
        store(backend, result, state, task="states")
    stored = ["STARTED", "RETRY", "FAILURE", "AT 1 %", "AT 2 %", "other"]
    seen = [counted("stored_total", task="states", state=one) for one in stored]
    assert [1, 1, 1, 1, 0, 2] == seen


@pytest.mark.parametrize("setting", ["MAX_TASKS", "MAX_STATES"])
def test_wrong_setting_harms_no_result(backend: Any, configure: Configure, setting: str) -> None:
    """Only the counting stops."""
    configure(prometheus={setting: "many"})
    store(backend, state="STRANGE")
    store(backend)
    assert 1 == backend.get_result("t1")


# -- Processes -----------------------------------------------------------------------


def test_gauges_of_an_ended_process_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's "live" gauges; counters and other processes' gauges stay."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for name in ("gauge_liveall_123", "gauge_liveall_124", "counter_123", "gauge_max_123"):
        (tmp_path / f"{name}.db").touch()
    worker_process_shutdown.send(sender=None, pid=123, exitcode=0)
    left = sorted(path.stem for path in tmp_path.iterdir())
    assert ["counter_123", "gauge_liveall_124", "gauge_max_123"] == left


def test_process_may_end_without_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, no files need to be removed."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    answers = worker_process_shutdown.send(sender=None, pid=123, exitcode=0)
    assert (plugin.forget_process, None) in answers


# -- Off -----------------------------------------------------------------------------


def test_nothing_is_counted_when_it_is_off(
    make_backend: MakeBackend, configure: Configure, counted: Counted
) -> None:
    """One setting disables the plugin."""
    configure(DISABLED_PLUGINS=["prometheus"])
    store(make_backend())
    assert 0 == counted("stored_total", task="shop.pay", state="SUCCESS")
