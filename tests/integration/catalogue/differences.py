"""What ends otherwise here than over Celery's Redis backend, or nowhere; the documentation's words.

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

#: These are run, and have to differ: one that does not any more must go from the list.
DIFFERENCES = (
    Difference(
        "chord of a generator of groups",
        "the body gets the values of all groups in one list, in no order",
        "the body gets a list for each group",
        "Redis keeps the shape of a header only if it is a list; here it is always kept",
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

#: What Celery before 5.7 does on Redis changes from run to run: not compared with these releases.
UNSETTLED = (
    Difference(
        "header replaced by a group",
        "its values in any order",
        "its values in order",
        "before 5.7 Celery gives all of them the same place in the header",
    ),
    Difference(
        "whole header replaced by groups",
        "their values in any order",
        "their values in order",
        "before 5.7 Celery gives all of a group the same place in the header",
    ),
    Difference(
        "header replaced by a chain of group",
        "the body gets whichever two values came first",
        "a `ChordError`, or in a cache no end",
        "before 5.7 Celery makes each task of the group a task of the header",
    ),
    *(
        Difference(
            canvas,
            "`None` for the value of the task beside, now and then",
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
        "no end; the header's task may lose its own error",
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
        "before 5.7 Redis keeps a chord that has failed, and fails it again",
    ),
)

UNCOUNTED = "the inner chord's body fails, but Celery does not count that for the outer chord"

#: Canvases that are never done with Celery 5.7, over Redis as here, and why; before it are more.
PENDING = {
    "body that ignores its result": "nothing is stored of a task that ignores its result",
    "chord whose header opts out": "a task that raises `Ignore` does not return to its chord",
    "error before a body that is a chord": "the failure is stored under an id that no result has",
    "error in a group at the start of a header's chain": UNCOUNTED,
    "error in an inner chord's header": UNCOUNTED,
    "header replaced by a failed chord": UNCOUNTED,
    "link_error of a chord of chords": UNCOUNTED,
}
