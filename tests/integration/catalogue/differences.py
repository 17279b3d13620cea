"""Canvases that end differently here than on Celery's Redis backend, or never, in the page's words.

This module imports nothing of the canvases, so that the test of the page can read it anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DIFFERENCES", "PENDING", "UNSETTLED", "Difference"]


@dataclass(frozen=True)
class Difference:
    """One row of a table in the documentation."""

    canvas: str
    redis: str
    here: str
    reason: str
    #: The backends that differ.
    backends: tuple[str, ...] = ("django-db", "django-cache")


NAMES_THE_TASK = "the error names the task, as it does on Redis for a header without groups"

#: The tests run these and require a difference: remove a row once both backends agree.
DIFFERENCES = (
    Difference(
        "chord of a generator of groups",
        "the body gets the values of all groups in one list, in no order",
        "the body gets a list for each group",
        "Redis keeps the header's shape only if the header is a list; here it is always kept",
    ),
    Difference(
        "error in a group at the end of a header's chain",
        "`Join error: ValueError('wrong')`",
        "`Dependency <id> raised ValueError('wrong')`",
        NAMES_THE_TASK,
    ),
    Difference(
        "error in an inner chord's body that is a group",
        "`Join error: ValueError('wrong')`",
        "`Dependency <id> raised ValueError('wrong')`",
        NAMES_THE_TASK,
    ),
    Difference(
        "error in a header's result",
        "`EncodeError`, from JSON",
        "in a cache, the error of `pickle`",
        "a cache keeps objects, which Django pickles",
        ("django-cache",),
    ),
)

REVOKED = "before 5.7 Celery revokes the body's tasks while it stores their failures"

#: Before Celery 5.7 their outcome on Redis changes from run to run, so they are not compared there.
UNSETTLED = (
    Difference(
        "header replaced by a group",
        "its values in any order",
        "its values in order",
        "before 5.7 Celery gives all tasks of the group the same place in the header",
    ),
    Difference(
        "whole header replaced by groups",
        "their values in any order",
        "their values in order",
        "before 5.7 Celery gives all tasks of a group the same place in the header",
    ),
    Difference(
        "header replaced by a chain of group",
        "the body gets whichever two values came first",
        "a `ChordError`; in a cache the chord never ends",
        "before 5.7 Celery makes each task of the group a task of the header",
    ),
    *(
        Difference(
            canvas,
            "sometimes `None` for the value of the neighbouring task",
            "its value",
            "seen with Celery 5.6 on a busy machine, not with 5.7",
        )
        for canvas in (
            "chord of chains that end in groups",
            "chord of chords whose bodies are groups",
        )
    ),
    Difference(
        "error before a body that is a chain",
        "the chord never ends; the header's task may lose its own error",
        "the same",
        "Celery 5.5 stores the failure of a task that has no id yet",
    ),
    Difference(
        "error before a body that is a group",
        "its tasks end as `FAILURE` or `REVOKED`",
        "the same",
        REVOKED,
    ),
    Difference(
        "link_error of a chord whose body is a group",
        "its tasks end as `FAILURE` or `REVOKED`",
        "the same",
        REVOKED,
    ),
    Difference(
        "failing header delivered twice",
        "errbacks are called once or twice",
        "errbacks are called once",
        "before 5.7 the Redis backend keeps a failed chord, and fails it again",
    ),
)

UNCOUNTED = "the inner chord's body fails, but Celery does not count that for the outer chord"

#: Canvases that never end with Celery 5.7, on Redis or here, and why. Older releases have more.
PENDING = {
    "body that ignores its result": "a task that ignores its result stores nothing",
    "chord whose header opts out": "a task that raises `Ignore` does not return to its chord",
    "error before a body that is a chord": "its failure is stored under an id without a result",
    "error in a group at the start of a header's chain": UNCOUNTED,
    "error in an inner chord's header": UNCOUNTED,
    "header replaced by a failed chord": UNCOUNTED,
    "link_error of a chord of chords": UNCOUNTED,
}
