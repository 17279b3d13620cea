"""Workers that die in mid-task: the message is redelivered, the result is stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chord
from celery.exceptions import TaskRevokedError

from django_celery_results.models import TaskResult
from tests.integration import notes, tasks
from tests.integration.combinations import KILLED, MORTALS, Combination

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Lab

pytestmark = pytest.mark.workers

#: Seconds that Celery may take to notice a lost process: ten on a broker that it polls.
LOST = 40


@pytest.mark.parametrize("combination", MORTALS, ids=lambda combination: combination.name)
def test_a_killed_process_costs_nothing(
    start_lab: Callable[[Combination], Lab], combination: Combination
) -> None:
    """With `acks_late` the task runs again; its result is stored once and its chord ends once."""
    lab = start_lab(combination)
    header = [tasks.die_once.s(lab.key), tasks.echo.s(1)]
    result: Any = chord(header, tasks.note_value.s(key=f"{lab.key}-body")).apply_async()
    killed: Any = result.parent[0]
    assert [killed.id, 1] == lab.get(result, timeout=LOST)
    assert ["started"] * 2 == lab.notes(2, settle=0.2)
    assert "SUCCESS" == killed.state
    assert [repr([killed.id, 1])] == notes.wait_for(f"{lab.key}-body", settle=0.2)


@pytest.mark.parametrize("combination", MORTALS, ids=lambda combination: combination.name)
def test_a_running_task_is_terminated(
    start_lab: Callable[[Combination], Lab], combination: Combination
) -> None:
    """The task is killed, and its result is REVOKED."""
    lab = start_lab(combination)
    result: Any = tasks.started.delay(lab.key)
    lab.notes()
    result.revoke(terminate=True, signal="SIGKILL")
    error = lab.get(result, timeout=LOST, propagate=False)
    assert ("REVOKED", TaskRevokedError) == (result.state, type(error))
    # Celery stores REVOKED twice: when asked to end the task, and when the process is gone.
    assert error.args in {("revoked",), ("terminated",)}


@pytest.mark.service("rabbitmq")
def test_a_task_whose_worker_was_killed_runs_again(
    start_lab: Callable[[Combination], Lab],
) -> None:
    """The broker notices that the worker is gone, and the next worker stores the result."""
    lab = start_lab(KILLED)
    result: Any = tasks.die_once.delay(lab.key, whole_worker=True)
    notes.eventually(lambda: not lab.worker.runs())
    assert "PENDING" == result.state
    lab = start_lab(KILLED)
    assert result.id == lab.get(result)
    assert 1 == TaskResult.objects.filter(task_id=result.id, status="SUCCESS").count()
