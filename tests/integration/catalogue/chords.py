"""Chords that succeed, alone and in other canvases."""

from __future__ import annotations

from celery import chain, chord, group

from tests.integration.tasks import (
    add,
    add_to_chord,
    both,
    echo,
    flaky,
    ignore_me,
    ignored,
    ignored_add,
    nap,
    note,
    total,
)

from .parts import Canvas, noted, with_options

__all__ = ["BODIES", "HEADERS", "NESTED"]

HEADERS: dict[str, Canvas] = {
    "chord": lambda key: chord([nap.s(0.1, "a"), echo.s("b")], noted(key)),
    "chord of one": lambda key: chord([add.s(1, 1)], noted(key)),
    "chord of a group of one": lambda key: chord(group(add.s(1, 1)), noted(key)),
    "chord of none": lambda key: chord([], noted(key)),
    "chord of a hundred": lambda key: chord([echo.s(i) for i in range(100)], noted(key)),
    "chord of a generator": lambda key: chord((add.s(i, i) for i in range(4)), noted(key)),
    "chord of a generator of chains": lambda key: chord(
        (chain(add.s(i, i), add.s(1)) for i in range(3)), noted(key)
    ),
    "chord of a generator of groups": lambda key: chord(
        (group(echo.s(i), echo.s(i + 1)) for i in (1, 5)), noted(key)
    ),
    "chord of values": lambda key: chord(
        [echo.s(None), echo.s("größer 🎉"), echo.s({"ä": [None]}), echo.s("")], noted(key)
    ),
    "chord whose header ignores results": lambda key: chord(
        [ignored_add.s(1, 1), add.s(2, 2)], noted(key)
    ),
    "chord whose header ignores results by option": lambda key: chord(
        [with_options(add.s(1, 1), ignore_result=True), add.s(2, 2)], noted(key)
    ),
    "chord whose header is retried": lambda key: chord([flaky.s(1), flaky.s(2)], noted(key)),
    "chord whose header is immutable": lambda key: chain(
        echo.s(1), chord([add.si(1, 2), add.si(3, 4)], noted(key))
    ),
    "chord whose header opts out": lambda key: chord([ignore_me.s(), echo.s(1)], noted(key)),
    "header that adds a task": lambda key: chord(
        [add_to_chord.s("task"), nap.s(0.1, 2)], chain(total.s(), noted(key))
    ),
    "header that adds a chain": lambda key: chord(
        [add_to_chord.s("chain"), nap.s(0.1, 2)], chain(total.s(), noted(key))
    ),
    "header that adds a task that fails": lambda key: chord(
        [add_to_chord.s("failure"), nap.s(0.1, 2)], noted(key)
    ),
}

BODIES: dict[str, Canvas] = {
    "body that is immutable": lambda key: chord([echo.s(1), echo.s(2)], note.si(key)),
    "body with arguments": lambda _: chord([echo.s(1), echo.s(2)], both.s("x")),
    "body that ignores its result": lambda key: chord([echo.s(1), echo.s(2)], ignored.si(key)),
    "body that is a chain": lambda key: chord(
        [add.s(1, 1), add.s(2, 2)], chain(total.s(), add.s(10), noted(key))
    ),
    "body that is a group": lambda key: chord(
        [add.s(1, 1), add.s(2, 2)], group(total.s(), noted(key))
    ),
    "body that is a group of one": lambda key: chord([echo.s(1), echo.s(2)], group(noted(key))),
    "body that is a chord": lambda key: chord(
        [echo.s(1), echo.s(2)], chord([total.s(), echo.s()], noted(key))
    ),
    "body that is a group of chords": lambda key: chord(
        [echo.s(1), echo.s(2)],
        group(chord([total.s(), echo.s()], noted(key)), chord([echo.s()], noted(key))),
    ),
    "body that ends in a group": lambda key: chord(
        [echo.s(1), echo.s(2)], chain(total.s(), group(add.s(1), noted(key)))
    ),
    "body that ends in a chord": lambda key: chord(
        [echo.s(1), echo.s(2)], chain(total.s(), chord([add.s(1), add.s(2)], noted(key)))
    ),
}

NESTED: dict[str, Canvas] = {
    "chord of groups": lambda key: chord(
        [group(echo.s(1), echo.s(2)), group(echo.s(3), echo.s(4))], noted(key)
    ),
    "chord of chains": lambda key: chord(
        [chain(add.s(1, 1), add.s(i)) for i in (5, 6)], noted(key)
    ),
    "chord of chains that end in groups": lambda key: chord(
        [echo.s(1) | group(add.s(1), add.s(2)), echo.s(9)], noted(key)
    ),
    "chord of chains that start with groups": lambda key: chord(
        [group(echo.s(1), echo.s(2)) | total.s(), echo.s(9)], noted(key)
    ),
    "chord of chains around chords": lambda key: chord(
        [chain(echo.s(1), chord([add.s(1), add.s(2)], total.s()), add.s(1)), echo.s(9)], noted(key)
    ),
    "chord of chords": lambda key: chord(
        [chord([echo.s(i), echo.s(i + 1)], total.s()) for i in (1, 5)], noted(key)
    ),
    "chord of chords three deep": lambda key: chord(
        [chord([chord([echo.s(1), echo.s(2)], total.s()), echo.s(3)], total.s()), echo.s(4)],
        noted(key),
    ),
    "chord of chords whose bodies are chains": lambda key: chord(
        [chord([echo.s(1), echo.s(2)], chain(total.s(), add.s(1))), echo.s(9)], noted(key)
    ),
    "chord of chords whose bodies are groups": lambda key: chord(
        [chord([echo.s(1), echo.s(2)], group(total.s(), echo.s())), echo.s(9)], noted(key)
    ),
    "chord in a chain": lambda key: chain(
        add.s(1, 1), chord([add.s(10), add.s(20)], total.s()), noted(key)
    ),
    "chord at the end of a chain": lambda key: chain(
        add.s(1, 1), chord([add.s(10), add.s(20)], noted(key))
    ),
    "chord after a group": lambda key: chain(
        group(echo.s(1), echo.s(2)), chord([total.s(), echo.s()], noted(key))
    ),
    "chord after a chord": lambda key: chain(
        chord([echo.s(1), echo.s(2)], total.s()), chord([add.s(1), add.s(2)], noted(key))
    ),
    "chord before a group": lambda key: chain(
        chord([echo.s(1), echo.s(2)], total.s()), group(add.s(1), noted(key))
    ),
    "group in a chord in a chain": lambda key: chain(
        echo.s(1), chord([group(add.s(1), add.s(2)), add.s(3)], noted(key)), echo.s()
    ),
}
