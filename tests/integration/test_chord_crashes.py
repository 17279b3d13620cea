"""Workers that are killed at each step of a chord: its body runs, and runs once."""

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

#: Seconds that Celery may take to see that a process is gone, and the rest of it.
LOST = 60
#: Seconds after which the claim of a worker lapses: more than one that lives ever takes.
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
        """The ids of the header's tasks."""
        facts = {"whole_worker": self.whole_worker}
        return [part_id(self.key, self.step, number, **facts) for number in range(self.size)]

    def apply(self) -> Any:
        """Send the chord and return the result of its body."""
        ids = self.ids()
        header = [self.task.s(number).set(task_id=ids[number]) for number in range(self.size)]
        return chord(header, tasks.note_value.s(key=self.body_key)).apply_async()

    @property
    def body_key(self) -> str:
        """Under which the body leaves its note."""
        return f"{self.key}-{self.step}-body"

    def has_died(self) -> bool:
        """Whether it has."""
        return has_died(self.ids()[0])

    @property
    def is_lost(self) -> bool:
        """Whether a part's result is gone: its message was acknowledged before the task ran."""
        return bool(self.step.startswith("before") and self.task is tasks.echo)


def finish() -> bool:
    """Finish what can be finished; return whether nothing is left."""
    call_command("celery_results", "chords", "--finish", stdout=StringIO())
    return not ChordCounter.objects.exists()


def is_stored(result: Any) -> bool:
    """Return whether the row of a task says that it is done."""
    rows = TaskResult.objects.filter(task_id=result.id, status__in=["SUCCESS", "FAILURE"])
    return bool(rows.exists())


@pytest.fixture(autouse=True)
def _claims_lapse(settings: Settings) -> None:
    """Let the tests take a claim for lost sooner than the workers do."""
    settings.DJANGO_CELERY_RESULTS = {"CHORD_CLAIM_TIMEOUT": CLAIM_TIMEOUT}


def finish_all(bodies: dict[Crash, Any]) -> None:
    """Have the chords finished once every worker has died that is going to."""
    notes.eventually(lambda: all(crash.has_died() for crash in bodies), LOST)
    # One that has been sent is known by its result; until then it would be sent again.
    sent = [result for crash, result in bodies.items() if crash.step == "after_dispatch"]
    notes.eventually(lambda: all(map(is_stored, sent)), LOST)
    notes.eventually(finish, LOST)
    notes.eventually(lambda: all(map(is_stored, bodies.values())), LOST)


def outcome(crash: Crash, result: Any) -> Any:
    """Return what became of the body: its error, or the notes that it left."""
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
    """With messages that come again and without; what was lost with its process is an error."""
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
    """Nobody is left to see it; another worker, and the command, do the rest."""
    lab = start_lab(CRASHED)
    crash = Crash(lab.key, step, task, size=1, whole_worker=True)
    result = crash.apply()
    notes.eventually(lambda: not lab.worker.runs(), LOST)
    start_lab(CRASHED)
    finish_all({crash: result})
    assert ["[0]"] == outcome(crash, result)
