"""Chords of every shape: the body gets what Celery's own backends would give it, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group
from django.core.cache import caches

from django_celery_results.models import ChordCounter, ChordPart
from tests.integration import notes, tasks
from tests.integration.tasks import add, become, echo, nap, note_value, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Lab

collect = echo

#: The canvas, and the value that its result has.
CHORDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "plain": (lambda: chord([add.s(i, i) for i in range(10)], total.s()), 90),
    "order": (lambda: chord([nap.s(0.3, "a"), echo.s("b"), echo.s("c")], collect.s()), [*"abc"]),
    "of one": (lambda: chord([add.s(1, 1)], collect.s()), [2]),
    "of one task": (lambda: chord(group(add.s(1, 1)), total.s()), 2),
    "of none": (lambda: chord([], collect.s()), []),
    "of many": (lambda: chord([echo.s(i) for i in range(60)], collect.s()), [*range(60)]),
    "of nones": (lambda: chord([echo.s(None), echo.s(None)], collect.s()), [None, None]),
    "generator": (lambda: chord((add.s(i, i) for i in range(4)), collect.s()), [0, 2, 4, 6]),
    "group then task": (lambda: group(add.s(1, 1), add.s(2, 2)) | total.s(), 6),
    "body with arguments": (
        lambda: chord([echo.s(1), echo.s(2)], tasks.both.s("x")),
        [[1, 2], "x"],
    ),
    "immutable body": (lambda: chord([echo.s(1), echo.s(2)], add.si(20, 3)), 23),
    "body is a chain": (lambda: chord([add.s(1, 1), add.s(2, 2)], total.s() | add.s(10)), 16),
    "body is a group": (
        lambda: chord([add.s(1, 1), add.s(2, 2)], group(total.s(), collect.s())),
        [6, [2, 4]],
    ),
    "body is a chord": (
        lambda: chord([echo.s(1), echo.s(2)], chord([total.s(), collect.s()], collect.s())),
        [3, [1, 2]],
    ),
    "chords of chords": (
        lambda: chord([chord([echo.s(i), echo.s(i + 1)], total.s()) for i in (1, 5)], collect.s()),
        [3, 11],
    ),
    "three deep": (
        lambda: chord(
            [chord([chord([echo.s(1), echo.s(2)], total.s()), echo.s(3)], total.s()), echo.s(4)],
            total.s(),
        ),
        10,
    ),
    "header of groups": (
        lambda: chord([group(echo.s(1), echo.s(2)), group(echo.s(3), echo.s(4))], total.s()),
        10,
    ),
    "header of chains": (
        lambda: chord([chain(add.s(1, 1), add.s(i)) for i in (5, 6)], collect.s()),
        [7, 8],
    ),
    "header of chains that end in groups": (
        lambda: chord([echo.s(1) | group(add.s(1), add.s(2)), echo.s(9)], collect.s()),
        [[2, 3], 9],
    ),
    "in a chain": (
        lambda: chain(add.s(1, 1), chord([add.s(10), add.s(20)], total.s()), add.s(100)),
        134,
    ),
    "after a group": (
        lambda: chain(group(echo.s(1), echo.s(2)), chord([total.s(), collect.s()], collect.s())),
        [3, [1, 2]],
    ),
    "groups in a row": (
        lambda: chain(group(echo.s(1), echo.s(2)), group(total.s(), collect.s()), collect.s()),
        [3, [1, 2]],
    ),
    "header that ignores results": (
        lambda: chord([tasks.ignored_add.s(1, 1), add.s(2, 2)], collect.s()),
        [2, 4],
    ),
    "header retried": (lambda: chord([tasks.flaky.s(1), tasks.flaky.s(2)], collect.s()), [1, 2]),
    "header becomes a task": (lambda: chord([become.s("task"), echo.s(9)], collect.s()), [3, 9]),
    "header becomes a chain": (lambda: chord([become.s("chain"), echo.s(9)], collect.s()), [6, 9]),
    "header becomes a group": (
        lambda: chord([become.s("group"), echo.s(9)], collect.s()),
        [[3, 7], 9],
    ),
    "header becomes a chord": (
        lambda: chord([become.s("chord"), echo.s(9)], collect.s()),
        [10, 9],
    ),
    "body becomes a chord": (lambda: chord([echo.s(1)], tasks.become_ignoring.s("chord")), 10),
}


@pytest.mark.parametrize("name", CHORDS)
def test_a_chord(lab: Lab, name: str) -> None:
    """The result is what Celery documents, and nothing of the chord is left afterwards."""
    canvas, expected = CHORDS[name]
    assert expected == lab.get(canvas().apply_async())
    if lab.combination.is_database:
        notes.eventually(lambda: not ChordCounter.objects.exists())
        assert not ChordPart.objects.exists()


def test_a_header_task_adds_another(lab: Lab) -> None:
    """`add_to_chord` makes the chord one longer, before its other tasks are even done."""
    result: Any = chord([tasks.become_with_more.s(7), nap.s(0.3, 2)], collect.s()).apply_async()
    assert [1, 2, 7] == sorted(lab.get(result))


def test_a_header_message_that_is_delivered_twice_counts_once(lab: Lab) -> None:
    """The body waits for the distinct tasks, and runs once."""
    header = [tasks.delivered_twice.s(1, key=f"{lab.key}-header"), nap.s(0.5, 2)]
    result: Any = chord(header, note_value.s(key=lab.key)).apply_async()
    assert [1, 2] == lab.get(result)
    assert ["[1, 2]"] == lab.notes(settle=0.3)
    assert ["first", "again"] == notes.wait_for(f"{lab.key}-header", 2)


def test_a_chord_that_is_applied_twice_runs_its_body_once(own_lab: Lab) -> None:
    """The same header sent twice, under one group id, is the same chord."""
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


def test_a_chord_leaves_no_keys_in_the_cache(cache_lab: Lab) -> None:
    """Counter, parts and claim are gone once the body was sent."""
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
