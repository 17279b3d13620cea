"""A header task's result: stored and counted in one step, or in two where needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches
from django.db import DatabaseError, connection, connections, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext

from django_celery_results import hookimpl
from django_celery_results.models import ChordCounter, ChordPart, TaskResult
from django_celery_results.records import Retention, StoredPart
from tests.storages.database.test_part_counting import statements

from .common import COMMITTED, Chord, row
from .killing import SERVER, kill

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = COMMITTED

IDS = ("a", "b", "c")


class Watcher:
    """A plugin that wraps ``store_part`` and records each answer."""

    django_celery_results_name = "watcher"

    def __init__(self) -> None:
        self.heard: list[StoredPart | None] = []

    @hookimpl(wrapper=True)
    def store_part(self) -> Generator[None, StoredPart | None, StoredPart | None]:
        """Record the answer."""
        done = yield
        self.heard.append(done)
        return done


DONE = StoredPart(written=True, counted=True)


@pytest.fixture
def watcher() -> Watcher:
    """The recording plugin."""
    return Watcher()


@pytest.fixture
def make_chord(make_backend: MakeBackend, settings: Settings) -> Callable[..., Chord]:
    """Return a function that starts a chord of three parts, with these plugins."""

    def make(*plugins: object, url: str = "django-db", **options: Any) -> Chord:
        settings.DJANGO_CELERY_RESULTS = {"PLUGINS": list(plugins), **options}
        chord = Chord(make_backend(url, task_always_eager=True, task_store_eager_result=True))
        chord.start(*IDS)
        return chord

    return make


def outcome() -> tuple[list[str], int, list[str]]:
    """Return the ids of the stored successes, the number to come, and the ids counted."""
    stored = TaskResult.objects.filter(status=states.SUCCESS).order_by("task_id")
    counted = ChordPart.objects.order_by("pk").values_list("task_id", flat=True)
    waiting = ChordCounter.objects.get().count
    return list(stored.values_list("task_id", flat=True)), waiting, list(counted)


# -- In one step -----------------------------------------------------------------------


def test_a_part_is_stored_and_counted(make_chord: Callable[..., Chord], watcher: Watcher) -> None:
    """One statement does both if the database has one, or else one transaction."""
    chord = make_chord(watcher)
    chord.done("c", 0)
    with CaptureQueriesContext(connection) as queries:
        chord.done("b", 5)
    assert {"postgresql": 1, "mysql": 1, "sqlite": 3}[connection.vendor] == len(statements(queries))
    assert [DONE, DONE] == watcher.heard
    assert (["b", "c"], 1, ["c", "b"]) == outcome()
    assert ("5", None) == (row("b").result, ChordPart.objects.get(task_id="b").result)


def test_the_last_part_is_counted_by_itself(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """Counting it also claims the body."""
    chord = make_chord(watcher)
    for task_id in IDS:
        chord.done(task_id, task_id)
    assert [DONE, DONE, StoredPart(written=True, counted=False)] == watcher.heard
    assert [["a", "b", "c"]] == chord.sent


def test_a_part_that_is_delivered_again_changes_nothing(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    chord = make_chord(watcher)
    for value in (1, 2):
        chord.done("a", value)
    # If a key refuses the part, instead of the statement's own condition, nothing is done.
    refused = (
        None if connection.vendor != "postgresql" else StoredPart(written=False, counted=False)
    )
    assert [DONE, refused] == watcher.heard
    assert (["a"], 2, ["a"]) == outcome()
    assert "1" == row("a").result


def test_a_part_delivered_twice_at_one_moment_counts_once(
    make_chord: Callable[..., Chord],
) -> None:
    """The two deliveries use two connections, and either may be first."""
    chord = make_chord()
    barrier = threading.Barrier(2)

    def deliver() -> None:
        for task_id in "ab":
            barrier.wait(10)
            chord.done(task_id, task_id)
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (["a", "b"], 1, ["a", "b"]) == outcome()


def test_a_part_whose_result_expires_soon_brings_it(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """The chord then has the result after it has expired."""

    class Short:
        """Keeps results for a moment."""

        @hookimpl
        def result_retention(self) -> Any:
            return Retention(seconds=1)

    chord = make_chord(watcher, Short)
    chord.done("a", 5)
    assert ([DONE], "5") == (watcher.heard, ChordPart.objects.get().result)


def test_observers_see_the_store_of_a_part(make_chord: Callable[..., Chord]) -> None:
    heard: list[tuple[str, bool]] = []

    class Observer:
        """Records stores."""

        @hookimpl
        def after_store(self, stored: Any, written: bool) -> None:
            heard.append((stored.using, written))

    chord = make_chord(Observer)
    for _ in range(2):
        chord.done("a", 1)
    assert [("default", True), ("default", False)] == heard


# -- One after the other ----------------------------------------------------------------


@pytest.mark.parametrize("hook", ["store_task", "chord_part_returned"])
def test_a_plugin_that_wraps_either_hook_misses_nothing(
    make_chord: Callable[..., Chord], watcher: Watcher, hook: str
) -> None:
    """Storing and counting are then two calls."""
    calls: list[str] = []

    def wrapper() -> Generator[None, Any, Any]:
        calls.append(hook)
        return (yield)

    class Wrapping:
        """Wraps one hook."""

        wrapped = staticmethod(hookimpl(wrapper=True, specname=hook)(wrapper))

    chord = make_chord(watcher, Wrapping)
    chord.done("a", 1)
    assert ([], [hook]) == (watcher.heard, calls)
    assert (["a"], 2, ["a"]) == outcome()


def test_a_plugin_that_wraps_all_three_hooks_gets_the_single_step(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    class Knowing(Watcher):
        """Wraps all three hooks."""

        django_celery_results_name = "knowing"

        @hookimpl(wrapper=True)
        def store_task(self) -> Generator[None, Any, Any]:
            return (yield)

        @hookimpl(wrapper=True)
        def chord_part_returned(self) -> Generator[None, Any, Any]:
            return (yield)

    make_chord(watcher, knowing := Knowing()).done("a", 1)
    assert [DONE] == watcher.heard == knowing.heard


def test_a_part_in_the_callers_transaction_takes_two_steps(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """An error of the count must not undo the caller's earlier work."""
    chord = make_chord(watcher)
    with transaction.atomic():
        chord.done("a", 1)
        chord.done("b", 1)
        transaction.set_rollback(True)
    assert ([None, None], ([], 3, [])) == (watcher.heard, outcome())


def test_receivers_of_the_rows_signals_are_called(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """Django's signals need more than one statement."""
    saved: list[str] = []

    def listener(instance: Any, **_: Any) -> None:
        saved.append(instance.task_id)

    chord = make_chord(watcher)
    post_save.connect(listener, sender=TaskResult)
    try:
        chord.done("a", 1)
    finally:
        post_save.disconnect(listener, sender=TaskResult)
    assert ([None], ["a"]) == (watcher.heard, saved)
    assert (["a"], 2, ["a"]) == outcome()


class ChordsElsewhere:
    """Routes results to ``default`` and chords to ``secondary``."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        """Return the alias for the model."""
        is_chord = model._meta.model_name in {"chordcounter", "chordpart"}
        return "secondary" if is_chord else "default"

    db_for_read = db_for_write


@pytest.mark.django_db(databases=["default", "secondary"], transaction=True)
def test_results_and_chords_on_two_databases_take_two_steps(
    make_chord: Callable[..., Chord], watcher: Watcher, settings: Settings
) -> None:
    """No transaction covers both databases."""
    settings.DATABASE_ROUTERS = [ChordsElsewhere()]
    chord = make_chord(watcher)
    chord.done("a", 1)
    assert [None] == watcher.heard
    assert ("1", 2) == (row("a").result, ChordCounter.objects.using("secondary").get().count)
    chord.done("b", 2)
    chord.done("c", 3)
    assert [[1, 2, 3]] == chord.sent


def test_a_cache_stores_and_counts_in_two_steps(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """It does not implement the single step."""
    caches["default"].clear()
    chord = make_chord(watcher, url="django-cache")
    for task_id in IDS:
        chord.done(task_id, task_id)
    assert ([], [["a", "b", "c"]]) == (watcher.heard, chord.sent)


def test_a_result_that_is_stored_by_hand_is_not_counted(make_chord: Callable[..., Chord]) -> None:
    """Celery has not said that the task returned, even if it returned earlier."""
    chord = make_chord()
    request = chord.request("a")
    chord.backend.store_result("a", 1, states.SUCCESS, request=request)
    assert (["a"], 3, []) == outcome()
    chord.backend.mark_as_done("b", 1, chord.request("b"))
    chord.backend.store_result("c", 1, states.SUCCESS, request=request)
    assert (["a", "b", "c"], 2, ["b"]) == outcome()


def test_a_failed_part_is_stored_and_then_counted(
    make_chord: Callable[..., Chord], watcher: Watcher
) -> None:
    """Celery makes two calls for it."""
    chord = make_chord(watcher)
    chord.failed("a", ValueError("no"))
    assert ([], 2, ["a"]) == outcome()
    assert ([], states.FAILURE) == (watcher.heard, row("a").status)


# -- What goes wrong --------------------------------------------------------------------


def test_an_answer_of_another_kind_is_an_error_that_is_logged(
    make_chord: Callable[..., Chord], caplog: pytest.LogCaptureFixture
) -> None:
    """The result is still stored, and the part is still counted."""

    class Wrong:
        """Answers with the wrong type."""

        @hookimpl(wrapper=True)
        def store_part(self) -> Generator[None, Any, Any]:
            yield
            return True

    make_chord(Wrong).done("a", 1)
    assert "must return StoredPart | None, not bool" in caplog.text
    assert (["a"], 2, ["a"]) == outcome()


@pytest.fixture
def broken_parts() -> Iterator[None]:
    """Rename the table of parts for a while."""
    table, away = "django_celery_results_chordpart", "parts_away"
    with connection.schema_editor() as editor:
        editor.alter_db_table(ChordPart, table, away)
    yield
    with connection.schema_editor() as editor:
        editor.alter_db_table(ChordPart, away, table)


@pytest.mark.usefixtures("broken_parts")
def test_a_result_is_stored_even_if_its_chord_cannot_be_counted(
    make_chord: Callable[..., Chord], caplog: pytest.LogCaptureFixture
) -> None:
    """Celery gets the error of the count."""
    chord = make_chord()
    with pytest.raises(DatabaseError, match="chordpart"):
        chord.done("a", 5)
    assert ("5", 3) == (row("a").result, ChordCounter.objects.get().count)
    assert "Task a could not be stored and counted in one step" in caplog.text


def test_a_part_that_the_database_refuses_leaves_no_transaction_open(
    make_chord: Callable[..., Chord],
) -> None:
    """The part's result is stored all the same."""
    chord = make_chord()
    with pytest.raises((DatabaseError, OverflowError)):
        chord.done("a", 5, group_index=2**70)
    assert (["a"], 3, []) == outcome()
    chord.done("b", 5)
    connections["default"].close()
    assert (["a", "b"], 2, ["b"]) == outcome()


@SERVER
def test_a_lost_connection_counts_once(
    make_chord: Callable[..., Chord], watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    """The two steps run on a new connection."""
    chord = make_chord(watcher)
    chord.done("a", 1)
    kill(connection)
    chord.done("b", 1)
    assert ([DONE], ["a", "b"]) == (watcher.heard, outcome()[0])
    assert "Trying in two steps" in caplog.text
    assert 1 == ChordCounter.objects.get().count
