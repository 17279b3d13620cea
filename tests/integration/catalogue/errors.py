"""Canvases that fail, at every position, with errbacks wherever Celery reports failures."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import chain, chord, group

from tests.integration.tasks import add, echo, fail, fail_with, flaky, nap, total, unserializable

from .parts import Canvas, noted, told, with_options

__all__ = ["BODY_ERRORS", "ERRORS", "HEADER_ERRORS"]

ERRORS: dict[str, Canvas] = {
    "error in a task": lambda key: told(fail.s("custom"), key),
    "error in a group": lambda key: group(add.s(1, 1), told(fail.s("custom"), key), add.s(2, 2)),
    "error in every member of a group": lambda key: group(told(fail.s(), key) for _ in range(2)),
    "error at the start of a chain": lambda key: chain(fail.s(), noted(key), told(echo.s(), key)),
    "error in a chain": lambda key: chain(add.s(1, 1), told(fail_with.s(), key), noted(key)),
    "error in a group in a chain": lambda key: chain(
        echo.s(1), group(add.s(1), told(fail_with.s(), key)), told(noted(key), key)
    ),
    "error before a chord in a chain": lambda key: chain(
        told(fail.s(), key), chord([add.s(1), add.s(2)], told(noted(key), key))
    ),
    "error in a chord in a chain": lambda key: chain(
        echo.s(1), chord([add.s(1), fail_with.s()], told(total.s(), key)), told(noted(key), key)
    ),
    "error after a chord in a chain": lambda key: chain(
        echo.s(1), chord([add.s(1), add.s(2)], total.s()), told(fail_with.s(), key), noted(key)
    ),
    "error in a group of chords": lambda key: group(
        chord([fail.s(), echo.s(1)], told(noted(key), key)), chord([echo.s(2)], noted(key))
    ),
}


def step_fails(step: int, key: str) -> Any:
    """Return a chord with a chain of three tasks in its header; the task ``step`` fails."""
    steps = [fail_with.si() if one == step else echo.si(one) for one in (1, 2, 3)]
    return chord([chain(*steps), echo.s(9)], told(noted(key), key))


HEADER_ERRORS: dict[str, Canvas] = {
    "error in a header's first task": lambda key: chord(
        [fail.s(), echo.s(1), echo.s(2)], told(noted(key), key)
    ),
    "error in a header's middle task": lambda key: chord(
        [echo.s(1), told(fail.s("unicode"), key), echo.s(2)], told(noted(key), key)
    ),
    "error in a header's last task": lambda key: chord(
        [echo.s(1), echo.s(2), chain(nap.si(0.1), fail.si())], told(noted(key), key)
    ),
    "error in every task of a header": lambda key: chord(
        [fail.s(), fail.s("custom"), fail.s("none")], told(noted(key), key)
    ),
    "error in a chord of one": lambda key: chord([fail.s()], told(noted(key), key)),
    "error in a header that ignores results": lambda key: chord(
        [echo.s(1), with_options(fail.s(), ignore_result=True)], told(noted(key), key)
    ),
    "error in a header that is a generator": lambda key: chord(
        (fail_with.s(i) for i in range(2)), told(noted(key), key)
    ),
    "error in a header's last retry": lambda key: chord(
        [flaky.s(3), echo.s(1)], told(noted(key), key)
    ),
    "error in a header's result": lambda key: chord(
        [unserializable.s(), echo.s(1)], told(noted(key), key)
    ),
    **{
        f"error in step {step} of a header's chain": partial(step_fails, step) for step in (1, 2, 3)
    },
    "error in a header's group": lambda key: chord(
        [group(echo.s(1), fail.s()), echo.s(2)], told(noted(key), key)
    ),
    "error in a group at the end of a header's chain": lambda key: chord(
        [chain(echo.s(1), group(add.s(1), fail_with.s())), echo.s(2)], told(noted(key), key)
    ),
    "error in a group at the start of a header's chain": lambda key: chord(
        [chain(group(echo.s(1), fail.s()), echo.s()), echo.s(2)], told(noted(key), key)
    ),
    "error in an inner chord's header": lambda key: chord(
        [chord([echo.s(1), fail.s()], told(total.s(), key)), echo.s(2)], told(noted(key), key)
    ),
    "error in an inner chord's body": lambda key: chord(
        [chord([echo.s(1), echo.s(2)], told(fail_with.s(), key)), echo.s(2)], told(noted(key), key)
    ),
    "error in an inner chord's body that is a group": lambda key: chord(
        [chord([echo.s(1)], group(echo.s(), told(fail_with.s(), key))), echo.s(2)],
        told(noted(key), key),
    ),
}

BODY_ERRORS: dict[str, Canvas] = {
    "error in a body": lambda key: chord([echo.s(1), echo.s(2)], told(fail_with.s(), key)),
    "error in a body's second step": lambda key: chord(
        [echo.s(1), echo.s(2)], chain(total.s(), told(fail_with.s(), key), noted(key))
    ),
    "error in a member of a body": lambda key: chord(
        [echo.s(1), echo.s(2)], group(told(fail_with.s(), key), noted(key))
    ),
    "error in the header of a body": lambda key: chord(
        [echo.s(1), echo.s(2)], chord([total.s(), fail_with.s()], told(noted(key), key))
    ),
    "error in the body of a body": lambda key: chord(
        [echo.s(1), echo.s(2)], chord([total.s(), echo.s()], told(fail_with.s(), key))
    ),
    "error before a body that is a chain": lambda key: chord(
        [fail.s(), echo.s(1)], chain(told(total.s(), key), add.s(1), told(noted(key), key))
    ),
    "error before a body that is a group": lambda key: chord(
        [fail.s(), echo.s(1)], group(told(total.s(), key), told(noted(key), key))
    ),
    "error before a body that is a chord": lambda key: chord(
        [fail.s(), echo.s(1)], chord([total.s(), echo.s()], told(noted(key), key))
    ),
}
