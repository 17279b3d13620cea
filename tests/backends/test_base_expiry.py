"""The bridge: how long results are kept, and what happens when they expire."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.app.defaults import NAMESPACES
from django.core.cache import caches

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnavailable
from django_celery_results.models import ChordCounter, GroupResult, TaskResult
from django_celery_results.records import Retention

from .common import Chord, Recorder, row

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db

DAY = 24 * 3600


def retaining(seconds: float | None) -> Any:
    """Return a plugin that keeps every result for ``seconds``."""

    class Retaining:
        django_celery_results_name = "retaining"

        @hookimpl
        def result_retention(self) -> Retention:
            return Retention(seconds=seconds)

    return Retaining()


def expiry_of(task_id: str = "t1") -> float | None:
    """Return the seconds until the row expires."""
    date: datetime | None = row(task_id).date_expires
    return None if date is None else (date - datetime.now(timezone.utc)).total_seconds()


@pytest.mark.parametrize("seconds", [0, 10 * DAY, None])
@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_a_chord_has_results_however_short_they_are_kept(
    make_backend: MakeBackend, registered: Register, url: str, seconds: float | None
) -> None:
    """A part carries a result that may expire before the chord is given up."""
    caches["default"].clear()
    registered(retaining(seconds))
    chord = Chord(make_backend(url, task_always_eager=True, result_chord_join_timeout=0.05))
    chord.start("a", "b")
    chord.done("a", 1)
    chord.backend.cleanup()
    chord.done("b", [2])
    assert [[1, [2]]] == chord.sent


def test_a_plugins_retention_is_stored(make_backend: MakeBackend, registered: Register) -> None:
    registered(retaining(DAY))
    make_backend().mark_as_done("t1", 1)
    assert DAY == pytest.approx(expiry_of(), abs=60)


def test_a_result_may_be_kept_for_ever(make_backend: MakeBackend, registered: Register) -> None:
    """The plugin overrides ``result_expires``."""
    registered(retaining(None))
    backend = make_backend(result_expires=60)
    backend.mark_as_done("t1", 1)
    TaskResult.objects.update(date_done=datetime.now(timezone.utc) - timedelta(days=4000))
    backend.cleanup()
    assert TaskResult.objects.exists()


def test_a_retention_of_zero_expires_at_once(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The next cleanup deletes the result, even if ``result_expires`` is never."""
    registered(retaining(0))
    backend = make_backend(result_expires=None)
    backend.mark_as_done("t1", 1)
    backend.cleanup()
    assert not TaskResult.objects.exists()


def test_only_final_states_are_retained(make_backend: MakeBackend, registered: Register) -> None:
    """Tasks under way have their own limit."""
    registered(retaining(1))
    make_backend().mark_as_started("t1")
    assert None is expiry_of()


@pytest.mark.skipif(
    "failure_expires" not in NAMESPACES["result"],
    reason="result_failure_expires came with Celery 5.7",
)
@pytest.mark.parametrize(("seconds", "years"), [(DAY, 0), (0, 900)])
def test_failures_may_have_their_own_expiry(
    make_backend: MakeBackend, seconds: float, years: int
) -> None:
    """In Celery's ``result_failure_expires`` 0 means never; successes ignore it."""
    backend = make_backend(result_failure_expires=seconds)
    backend.mark_as_failure("t1", ValueError())
    backend.mark_as_done("t2", 1)
    assert (seconds or years * 365 * DAY) - 60 <= (expiry_of() or 0)
    assert None is expiry_of("t2")


def expired_rows() -> None:
    """Make an expired task and an expired group."""
    TaskResult.objects.create(task_id="t1", status=states.SUCCESS, result="5")
    GroupResult.objects.create(group_id="g1", result="[]")
    ChordCounter.objects.create(group_id="c1", sub_tasks="[]", count=1)
    old = datetime.now(timezone.utc) - timedelta(days=40)
    TaskResult.objects.update(date_done=old)
    GroupResult.objects.update(date_done=old)
    ChordCounter.objects.update(date_created=old)


def left() -> list[int]:
    """Return the numbers of tasks, groups and chords that are left."""
    return [model._default_manager.count() for model in (TaskResult, GroupResult, ChordCounter)]


def test_cleanup_deletes_expired_rows(make_backend: MakeBackend) -> None:
    """These are tasks, groups, and chords that were given up."""
    expired_rows()
    make_backend(result_expires=DAY).cleanup()
    assert [0, 0, 0] == left()


@pytest.mark.parametrize("expires", [None, 0])
def test_results_may_never_expire(make_backend: MakeBackend, expires: float | None) -> None:
    """``result_expires`` of None or 0 does not apply to chords."""
    expired_rows()
    make_backend(result_expires=expires).cleanup()
    assert [1, 1, 0] == left()


def test_plugins_see_each_expiry(make_backend: MakeBackend, registered: Register) -> None:
    """They see it before and after, with the values."""
    recorder = Recorder()
    registered(recorder)
    expired_rows()
    make_backend(result_expires=DAY).cleanup()
    assert [
        ("before", "task", ["t1"], [5]),
        ("after", "task", ["t1"]),
        ("before", "group", ["g1"], [()]),
        ("after", "group", ["g1"]),
    ] == recorder.heard


def test_results_that_a_plugin_failed_to_take_are_kept(
    make_backend: MakeBackend, registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    """The next cleanup tries again."""
    recorder = Recorder()
    recorder.fails = True
    registered(recorder)
    expired_rows()
    backend = make_backend(result_expires=DAY)
    backend.cleanup()
    assert [1, 1, 0] == left()
    assert "1 expired results are kept" in caplog.text
    recorder.fails = False
    backend.cleanup()
    assert [0, 0, 0] == left()


@pytest.mark.parametrize(
    ("plugins", "size", "expected"),
    [([], 5000, 5000), ([Recorder()], 5000, 1000), ([Recorder()], 10, 10)],
)
def test_a_plugin_sees_at_most_a_thousand_results_at_a_time(
    make_backend: MakeBackend,
    registered: Register,
    plugins: list[object],
    size: int,
    expected: int,
) -> None:
    """A batch has to fit into memory; the setting may make it smaller."""
    registered(*plugins, EXPIRE_BATCH_SIZE=size)
    assert expected == make_backend().expirer.expiry(60).batch_size


def test_a_result_that_may_be_readable_later_has_its_own_error(
    make_backend: MakeBackend, registered: Register
) -> None:
    """Its class differs, and its message names the task too."""

    class Away:
        @hookimpl
        def decode(self) -> None:
            raise ResultUnavailable("the vault is locked")

    make_backend().mark_as_done("t1", 1)
    registered(Away)
    with pytest.raises(ResultUnavailable, match="task 't1' cannot be read: the vault is locked"):
        make_backend().get_result("t1")
