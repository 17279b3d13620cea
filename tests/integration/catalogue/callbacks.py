"""Canvases of every kind with callbacks and errbacks, and messages delivered twice."""

from __future__ import annotations

from celery import chain, chord, group

from tests.integration.tasks import (
    add,
    become,
    delivered_twice,
    echo,
    fail,
    fail_with,
    fails_twice,
    nap,
    note,
    total,
)

from .parts import Canvas, linked, noted, told, told_of, twice, with_options

__all__ = ["DELIVERED", "ERRBACKS", "LINKS"]

LINKS: dict[str, Canvas] = {
    "link of a task": lambda key: linked(add.s(1, 2), key),
    "link of a chain": lambda key: linked(chain(echo.s(1), add.s(2)), key),
    "link of a group": lambda key: linked(group(echo.s(1), echo.s(2)), key),
    "link of a chord": lambda key: linked(chord([echo.s(1), echo.s(2)], total.s()), key),
    "link of a header's task": lambda key: chord([linked(echo.s(1), key), echo.s(2)], noted(key)),
    "link of a body that is a group": lambda key: linked(
        chord([echo.s(1), echo.s(2)], group(total.s(), echo.s())), key
    ),
    "link that fails": lambda key: with_options(add.s(1, 2), link=[told(fail_with.s(), key)]),
    "link that is a chord": lambda key: with_options(
        add.s(1, 2), link=[chord([add.s(1), add.s(2)], noted(key))]
    ),
}

ERRBACKS: dict[str, Canvas] = {
    "link_error of a chain": lambda key: told_of(chain(echo.s(1), fail_with.s(), echo.s()), key),
    "link_error of a group": lambda key: told_of(group(echo.s(1), fail.s()), key),
    "link_error of a chord": lambda key: told_of(chord([fail.s(), echo.s(1)], noted(key)), key),
    "link_error of a chord and its header": lambda key: told_of(
        chord([fail.s(), echo.s(1)], noted(key)), key, header_too=True
    ),
    "link_error of a chord whose body fails": lambda key: told_of(
        chord([echo.s(1), echo.s(1)], fail_with.s()), key
    ),
    "link_error of a chord whose body is a group": lambda key: told_of(
        chord([fail.s(), echo.s(1)], group(total.s(), noted(key))), key
    ),
    "link_error of a chord in a chain": lambda key: told_of(
        chain(echo.s(1), chord([fail_with.s(), echo.s()], total.s()), noted(key)), key
    ),
    "link_error of a chord of chords": lambda key: told_of(
        chord([chord([fail.s(), echo.s(1)], total.s()), echo.s(2)], noted(key)), key
    ),
    "link_error of a header that is replaced": lambda key: chord(
        [told(become.s("failure"), key), echo.s(1)], told(noted(key), key)
    ),
    "link_error that is immutable": lambda key: chord(
        [fail.s(), echo.s(1)], noted(key).on_error(note.si(key, "told"))
    ),
    "link_error that fails": lambda key: chord(
        [fail.s(), echo.s(1)], told(noted(key).on_error(fail_with.s()), key)
    ),
}

DELIVERED: dict[str, Canvas] = {
    "task delivered twice": lambda key: twice(1, key, "task"),
    "group delivered twice": lambda key: group(twice(1, key, "a"), twice(2, key, "b")),
    "header delivered twice": lambda key: chord([twice(1, key, "a"), nap.s(0.3, 2)], noted(key)),
    "header delivered twice to the end": lambda key: chord(
        [twice(1, key, "a"), twice(2, key, "b")], noted(key)
    ),
    "header's chain delivered twice": lambda key: chord(
        [chain(twice(1, key, "a"), nap.si(0.2, 3)), nap.s(0.3, 2)], echo.s()
    ),
    "inner chord's header delivered twice": lambda key: chord(
        [chord([twice(1, key, "a"), nap.s(0.2, 2)], total.s()), echo.s(9)], noted(key)
    ),
    "inner chord's body delivered twice": lambda key: chord(
        [chord([echo.s(1), echo.s(2)], delivered_twice.s(key=f"{key}-body")), nap.s(0.4)],
        noted(key),
    ),
    "failing header delivered twice": lambda key: chord(
        [fails_twice.s(f"{key}-a"), nap.s(0.3, 2)], told(noted(key), key)
    ),
}
