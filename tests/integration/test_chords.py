"""Chords over every broker and cache: the body gets the header's values and runs once.

The catalogue covers every shape of canvas; these are the ones that a storage could get wrong.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from celery import chord, group
from celery.exceptions import ChordError
from django.core.cache import caches
from django.db import transaction

from django_celery_results.models import ChordCounter, ChordPart
from tests.integration import notes, tasks
from tests.integration.tasks import add, become, echo, nap, note_value, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Lab

collect = echo

#: The canvas, and the value of its result.
CHORDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "plain": (lambda: chord([add.s(i, i) for i in range(10)], total.s()), 90),
    "order": (lambda: chord([nap.s(0.3, "a"), echo.s("b"), echo.s("c")], collect.s()), [*"abc"]),
    "of none": (lambda: chord([], collect.s()), []),
    "of many": (lambda: chord([echo.s(i) for i in range(60)], collect.s()), [*range(60)]),
    "generator": (lambda: chord((add.s(i, i) for i in range(4)), collect.s()), [0, 2, 4, 6]),
    "body is a group": (
        lambda: chord([add.s(1, 1), add.s(2, 2)], group(total.s(), collect.s())),
        [6, [2, 4]],
    ),
    "chords of chords": (
        lambda: chord([chord([echo.s(i), echo.s(i + 1)], total.s()) for i in (1, 5)], collect.s()),
        [3, 11],
    ),
    "header that ignores results": (
        lambda: chord([tasks.ignored_add.s(1, 1), add.s(2, 2)], collect.s()),
        [2, 4],
    ),
    "header becomes a group": (
        lambda: chord([become.s("group"), echo.s(9)], collect.s()),
        [[3, 7], 9],
    ),
}


@pytest.mark.parametrize("name", CHORDS)
def test_a_chord(lab: Lab, name: str) -> None:
    """The result is what Celery documents, and the chord's rows are deleted afterwards."""
    canvas, expected = CHORDS[name]
    assert expected == lab.get(canvas().apply_async())
    if lab.combination.is_database:
        notes.eventually(lambda: not ChordCounter.objects.exists())
        assert not ChordPart.objects.exists()


def test_a_failed_header_fails_the_body(lab: Lab) -> None:
    """Two failures give one error, that of the first, though its result is not stored."""
    first: Any = tasks.fail.s()
    first.options["ignore_result"] = True
    body: Any = total.s().on_error(tasks.new_errback.s(lab.key))
    result: Any = chord([first, tasks.fail.s("custom"), nap.s(0.2)], body).apply_async()
    expected = f"Dependency {result.parent[0].id} raised ValueError('wrong')"
    error = lab.error(result)
    assert (ChordError, expected) == (type(error), str(error))
    assert [f"{result.id} ChordError {expected}"] == lab.notes(settle=0.5)


def test_a_header_task_adds_another(lab: Lab) -> None:
    """`add_to_chord` makes the chord longer while its other tasks still run."""
    result: Any = chord([tasks.add_to_chord.s("task"), nap.s(0.3, 2)], collect.s()).apply_async()
    assert [1, 2, 3] == sorted(lab.get(result))


def test_a_header_message_that_is_delivered_twice_counts_once(lab: Lab) -> None:
    """The body waits for every distinct task, and runs once."""
    header = [tasks.delivered_twice.s(1, key=f"{lab.key}-header"), nap.s(0.5, 2)]
    result: Any = chord(header, note_value.s(key=lab.key)).apply_async()
    assert [1, 2] == lab.get(result)
    assert ["[1, 2]"] == lab.notes(settle=0.3)
    assert ["first", "again"] == notes.wait_for(f"{lab.key}-header", 2)


def test_a_chord_that_is_applied_twice_runs_its_body_once(own_lab: Lab) -> None:
    """The same header sent twice under one group id is the same chord."""
    lab = own_lab
    body: Any = note_value.s(key=lab.key)
    header: Any = group(nap.s(0.3, 1), nap.s(0.3, 2))
    body_result: Any = body.freeze()
    header.freeze(chord=body)
    for one in header.tasks:
        one.set(chord=body)
    members = [lab.app.AsyncResult(one.options["task_id"]) for one in header.tasks]
    for _ in range(2):
        lab.app.backend.apply_chord((header.id, members), body)
        for one in header.tasks:
            one.set(group_id=header.id).apply_async()
    assert [1, 2] == lab.get(body_result)
    assert ["[1, 2]"] == lab.notes(settle=0.8)


@pytest.mark.parametrize("fails", [False, True], ids=["commit", "rollback"])
def test_a_task_sends_a_chord_in_a_transaction(lab: Lab, fails: bool) -> None:
    """Its header ends before the transaction does, and its messages are not rolled back."""
    result: Any = tasks.send_chord_in_transaction.delay(lab.key, fails)
    assert ["[0, 1]"] == lab.notes(settle=0.5)
    lab.get(result, propagate=False)
    assert ("FAILURE" if fails else "SUCCESS") == result.state
    if lab.combination.is_database:
        notes.eventually(lambda: not ChordCounter.objects.exists())


def test_a_task_in_a_transaction_becomes_a_chord(lab: Lab) -> None:
    """Celery ends the task with an exception, so the transaction is always rolled back."""
    result: Any = tasks.become_a_chord_in_transaction.delay()
    assert [1, 2, "body"] == lab.get(result)


@pytest.mark.parametrize("fails", [False, True], ids=["commit", "rollback"])
def test_a_request_in_a_transaction_sends_a_chord(lab: Lab, fails: bool) -> None:
    """As with ATOMIC_REQUESTS, which rolls back if the view raises an exception."""
    with suppress(ZeroDivisionError), transaction.atomic():
        result: Any = chord([echo.s(1), echo.s(2)], note_value.s(key=lab.key)).apply_async()
        time.sleep(0.5)
        if fails:
            raise ZeroDivisionError
    assert [1, 2] == lab.get(result)
    assert ["[1, 2]"] == lab.notes(settle=0.3)


def test_a_chord_leaves_no_keys_in_the_cache(cache_lab: Lab) -> None:
    """The counter, the parts and the claim are deleted once the body is sent."""
    lab = cache_lab
    header = group(echo.s(1), echo.s(2))
    result: Any = chord(header, collect.s()).apply_async()
    lab.get(result)
    group_id = result.parent.id
    cache = caches[lab.combination.cache or lab.combination.backend.rpartition("/")[2]]
    key = f"chord-unlock-{group_id}"
    notes.eventually(lambda: cache.get(f"{key}.count") is None)
    parts = [f"{key}.part.{one.id}" for one in result.parent]
    assert {} == cache.get_many([key, f"{key}.count", f"{key}.claim", *parts])
