"""Workers that are killed at each step of a chord: the body still runs, and only once."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from celery import chord
from celery.exceptions import ChordError
from django.core.management import call_command

from django_celery_results.models import ChordCounter, TaskResult
from tests.integration import crashes, crashes_at_once, notes, tasks
from tests.integration.combinations import AT_ONCE, CRASHED, CRASHING, Combination
from tests.integration.crashes import has_died, part_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.integration.conftest import Lab

pytestmark = pytest.mark.workers

#: Seconds that Celery may take to notice that a process is gone and to finish the chords.
LOST = 60
#: Seconds after which a worker's claim lapses: more than a live worker ever needs.
CLAIM_TIMEOUT = 5


@dataclass(frozen=True)
class Crash:
    """A chord whose worker dies at one step."""

    key: str
    step: str
    task: Any
    size: int = 2
    whole_worker: bool = False

    def ids(self) -> list[str]:
        """Return the ids of the header's tasks."""
        facts = {"whole_worker": self.whole_worker}
        return [part_id(self.key, self.step, number, **facts) for number in range(self.size)]

    def apply(self) -> Any:
        """Send the chord and return the result of its body."""
        ids = self.ids()
        header = [self.task.s(number).set(task_id=ids[number]) for number in range(self.size)]
        return chord(header, tasks.note_value.s(key=self.body_key)).apply_async()

    @property
    def body_key(self) -> str:
        """The key under which the body leaves its note."""
        return f"{self.key}-{self.step}-body"

    def has_died(self) -> bool:
        """Return whether the crash has happened."""
        return has_died(self.ids()[0])

    @property
    def is_lost(self) -> bool:
        """Whether a part's result is lost: its message was acknowledged before the task ran."""
        return bool(self.step.startswith("before") and self.task is tasks.echo)


def finish() -> bool:
    """Finish the chords that can be finished; return whether all chords are gone."""
    call_command("celery_results", "chords", "--finish", stdout=StringIO())
    return not ChordCounter.objects.exists()


def is_stored(result: Any) -> bool:
    """Return whether the task's row says that it is done."""
    rows = TaskResult.objects.filter(task_id=result.id, status__in=["SUCCESS", "FAILURE"])
    return bool(rows.exists())


@pytest.fixture(autouse=True)
def _claims_lapse(settings: Settings) -> None:
    """Make a claim lapse sooner in the test process than in the workers."""
    settings.DJANGO_CELERY_RESULTS = {"CHORD_CLAIM_TIMEOUT": CLAIM_TIMEOUT}


def finish_all(bodies: dict[Crash, Any]) -> None:
    """Wait until every crash has happened, and then finish the chords."""
    notes.eventually(lambda: all(crash.has_died() for crash in bodies), LOST)
    # Only its stored result shows that a body was sent; before that it would be sent again.
    sent = [result for crash, result in bodies.items() if crash.step == "after_dispatch"]
    notes.eventually(lambda: all(map(is_stored, sent)), LOST)
    notes.eventually(finish, LOST)
    notes.eventually(lambda: all(map(is_stored, bodies.values())), LOST)


def outcome(crash: Crash, result: Any) -> Any:
    """Return the type of the body's error, or the notes that the body left."""
    error = result.get(propagate=False) if result.state == "FAILURE" else None
    return type(error) if error else notes.read(crash.body_key)


@pytest.mark.parametrize(
    ("combination", "steps"),
    [(CRASHING, crashes.STEPS), (AT_ONCE, crashes_at_once.STEPS)],
    ids=str,
)
def test_a_body_runs_once_at_whichever_step_a_process_dies(
    start_lab: Callable[[Combination], Lab], combination: Combination, steps: tuple[str, ...]
) -> None:
    """With and without redelivery of messages; a part lost with its process is an error."""
    lab = start_lab(combination)
    dying = [
        Crash(f"{lab.key}-{name}", step, task)
        for step in steps
        for name, task in (("early", tasks.echo), ("late", tasks.echo_late))
    ]
    bodies = {crash: crash.apply() for crash in dying}
    finish_all(bodies)
    expected = {one: ChordError if one.is_lost else ["[0, 1]"] for one in dying}
    assert expected == {crash: outcome(crash, result) for crash, result in bodies.items()}


@pytest.mark.service("rabbitmq")
@pytest.mark.parametrize(
    ("step", "task"),
    [("after_store", tasks.echo), ("after_claim", tasks.echo), ("before_store", tasks.echo_late)],
    ids=["after_store", "after_claim", "before_store"],
)
def test_a_body_runs_once_when_the_whole_worker_dies(
    start_lab: Callable[[Combination], Lab], step: str, task: Any
) -> None:
    """The dead worker cannot finish the chord; another worker and the command do."""
    lab = start_lab(CRASHED)
    crash = Crash(lab.key, step, task, size=1, whole_worker=True)
    result = crash.apply()
    notes.eventually(lambda: not lab.worker.runs(), LOST)
    start_lab(CRASHED)
    finish_all({crash: result})
    assert ["[0]"] == outcome(crash, result)
