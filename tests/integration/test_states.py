"""The states that a waiter sees while a task runs, and the data stored about it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import celery
import pytest
from celery import chord, group
from celery.exceptions import TimeoutError  # noqa: A004  Celery's name
from django.utils import timezone

from django_celery_results.models import TaskResult
from tests.integration import notes, tasks
from tests.integration.notes import eventually

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


def test_an_unknown_task_is_pending(lab: Lab) -> None:
    """Celery cannot tell an id that was never used from a task that has not run yet."""
    result: Any = lab.app.AsyncResult(lab.key)
    assert ("PENDING", None, False, None, None) == (
        result.state,
        result.result,
        result.ready(),
        result.date_done,
        result.traceback,
    )


def test_waiting_for_an_unknown_task_times_out(lab: Lab) -> None:
    """`get` raises Celery's TimeoutError after the given time."""
    begin = timezone.now()
    with pytest.raises(TimeoutError):
        lab.app.AsyncResult(lab.key).get(timeout=0.3)
    assert timedelta(seconds=0.3) <= timezone.now() - begin < timedelta(seconds=2)


def test_a_task_that_runs_is_seen_as_started(lab: Lab) -> None:
    """With `track_started` a waiter sees STARTED, and the worker's process id and host."""
    result: Any = tasks.started.delay(lab.key)
    lab.notes()
    assert "STARTED" == result.state
    assert {"pid", "hostname"} == set(result.result)
    assert result.date_done is None
    notes.write(f"{lab.key}-end", "now")
    assert ("ended", "SUCCESS") == (lab.get(result), result.state)


def test_the_row_knows_when_a_task_started(database_lab: Lab) -> None:
    """`date_started` is set at the start, does not change, and is before `date_done`."""
    lab = database_lab
    result: Any = tasks.started.delay(lab.key)
    lab.notes()
    started = TaskResult.objects.get(task_id=result.id).date_started
    notes.write(f"{lab.key}-end", "now")
    lab.get(result)
    row = TaskResult.objects.get(task_id=result.id)
    assert started is not None
    assert started == row.date_started
    assert row.date_created <= started + timedelta(seconds=1)
    assert started <= row.date_done


def test_a_state_of_the_tasks_own_is_seen(lab: Lab) -> None:
    """A state from `update_state` is seen, with its meta, until the task ends."""
    result: Any = tasks.progress.delay(lab.key)
    lab.notes()
    assert ("PROGRESS", {"done": 3, "of": 7}) == (result.state, result.info)
    assert not result.ready()
    notes.write(f"{lab.key}-end", "now")
    assert ("ended", "SUCCESS") == (lab.get(result), result.state)


@pytest.mark.parametrize(("fails", "state"), [(False, "SUCCESS"), (True, "FAILURE")])
def test_a_task_adds_to_its_meta(own_lab: Lab, fails: bool, state: str) -> None:
    """`request.meta` is added to the result's meta, whether the task succeeds or fails."""
    result: Any = tasks.with_meta.delay(fails)
    own_lab.get(result, propagate=False)
    meta = own_lab.app.backend.get_task_meta(result.id)
    assert (state, 3, ["seven"]) == (meta["status"], meta["step"], meta["of"])


def test_the_result_knows_its_call(lab: Lab) -> None:
    """With `result_extended` it has the name, the arguments and the worker."""
    result: Any = lab.app.AsyncResult(tasks.add.delay(2, y=3).id)
    lab.get(result)
    expected: Any = ([2], {"y": 3})
    if lab.combination.is_database:
        expected = ("(2,)", "{'y': 3}")
    assert "tests.integration.tasks.add" == result.name
    assert expected == (result.args, result.kwargs)
    assert result.worker.startswith(f"{lab.combination.queue}@")


def test_the_row_knows_its_call(database_lab: Lab) -> None:
    """With `result_extended` the columns of the row are filled."""
    result: Any = tasks.add.delay(2, 3)
    database_lab.get(result)
    row = TaskResult.objects.get(task_id=result.id)
    assert ("tests.integration.tasks.add", "SUCCESS", "5", None) == (
        row.task_name,
        row.status,
        row.result,
        row.traceback,
    )
    assert ('"(2, 3)"', '"{}"') == (row.task_args, row.task_kwargs)
    assert row.worker is not None
    assert row.worker.startswith(f"{database_lab.combination.queue}@")
    assert ("application/json", "utf-8") == (row.content_type, row.content_encoding)


def test_the_row_knows_its_periodic_task(database_lab: Lab) -> None:
    """The header that a scheduler sends is stored in its column and appears in the meta."""
    result: Any = tasks.add.apply_async((2, 3), headers={"periodic_task_name": "every morning"})
    database_lab.get(result)
    row = TaskResult.objects.get(task_id=result.id)
    meta = database_lab.app.backend.get_task_meta(result.id)
    assert ("every morning", "every morning") == (
        row.periodic_task_name,
        meta["periodic_task_name"],
    )


def test_date_done_is_the_end_of_the_task(lab: Lab) -> None:
    """`date_done` has a time zone, and lies between sending and reading."""
    begin = timezone.now()
    result: Any = tasks.add.delay(1, 1)
    lab.get(result)
    done = result.date_done
    assert isinstance(done, datetime)
    second = timedelta(seconds=1)
    assert begin - second <= done.astimezone(begin.tzinfo) <= timezone.now() + second


def test_children_are_known(lab: Lab) -> None:
    """The tasks that a task sent are its children, in order, and their results are readable."""
    result: Any = lab.app.AsyncResult(tasks.parent.delay(3).id)
    assert "parent" == lab.get(result)
    assert [0, 2, 4] == [lab.get(child) for child in result.children]


def test_a_group_of_children_is_known(lab: Lab) -> None:
    """The children of a task may be a group."""
    chain = celery.chain(tasks.add.s(1, 1), celery.group(tasks.add.s(1), tasks.add.s(2)))
    result: Any = chain.apply_async()
    assert [3, 4] == lab.get(result)
    first: Any = lab.app.AsyncResult(result.parent.id)
    eventually(lambda: bool(first.children))
    assert [[3, 4]] == [lab.get(child) for child in first.children]


def sendable(lab: Lab, one: UUID) -> Any:
    """Return the id, as text if the broker's driver cannot send a UUID in a header."""
    return str(one) if lab.combination.broker == "rabbitmq" else one


def test_the_id_may_be_a_uuid(lab: Lab) -> None:
    """``apply_async(task_id=uuid4())``, with ``track_started``: the body runs once."""
    task_id: Any = uuid4()
    result: Any = tasks.started.apply_async((lab.key,), task_id=sendable(lab, task_id))
    assert ["started"] == lab.notes()
    assert "STARTED" == result.state
    notes.write(f"{lab.key}-end", "now")
    for one in (result, lab.app.AsyncResult(task_id), lab.app.AsyncResult(str(task_id))):
        assert ("ended", "SUCCESS") == (lab.get(one), one.state)
    assert str(task_id) == lab.app.backend.get_task_meta(task_id)["task_id"]


def test_canvases_may_have_uuids(lab: Lab) -> None:
    """The ids of the header's tasks, of the group and of the body."""
    ids: list[Any] = [uuid4() for _ in range(3)]
    group_id: Any = uuid4()
    sent = [sendable(lab, one) for one in (*ids, uuid4(), uuid4())]
    header = [tasks.add.s(1, number).set(task_id=sent[number]) for number in range(3)]
    body = tasks.note_value.s(key=lab.key).set(task_id=sent[3])
    result: Any = chord(group(header, task_id=sent[4]))(body)
    assert [1, 2, 3] == lab.get(result)
    assert [repr([1, 2, 3])] == lab.notes(settle=0.3)
    assert [1, 2, 3] == lab.get(
        lab.app.GroupResult(group_id, [lab.app.AsyncResult(i) for i in ids])
    )


def test_progress_may_be_reported_as_pending_or_without_a_state(own_lab: Lab) -> None:
    """Each report replaces the one before it."""
    result: Any = tasks.reports.delay(lab_key := own_lab.key)
    seen = []
    for number in range(1, 4):
        own_lab.notes(number)
        seen.append((result.state, result.result))
        notes.write(f"{lab_key}-{number}", "seen")
    assert [("PENDING", {"done": 1}), ("PENDING", {"done": 2}), ("STARTED", {"done": 3})] == seen
    assert "ended" == own_lab.get(result)


def test_a_forgotten_result_is_gone(lab: Lab) -> None:
    """After `forget` the task is unknown again."""
    result: Any = tasks.add.delay(1, 1)
    lab.get(result)
    result.forget()
    assert "PENDING" == lab.app.AsyncResult(result.id).state


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="AsyncResult.exists came with Celery 5.7")
def test_a_result_exists_once_it_is_stored(lab: Lab) -> None:
    """`exists` is false before the store, true after it, false after `forget`."""
    unknown: Any = lab.app.AsyncResult(lab.key)
    result: Any = tasks.add.delay(1, 1)
    lab.get(result)
    before = result.exists()
    result.forget()
    assert (False, True, False) == (unknown.exists(), before, result.exists())


def test_success_is_final(lab: Lab) -> None:
    """A late state, from a message that was redelivered, changes nothing."""
    result: Any = tasks.add.delay(1, 1)
    lab.get(result)
    late = {"STARTED": {}, "RETRY": ValueError("late"), "FAILURE": ValueError("late"), "PENDING": 1}
    for state, value in late.items():
        lab.app.backend.store_result(result.id, value, state)
    again: Any = lab.app.AsyncResult(result.id)
    assert ("SUCCESS", 2) == (again.state, again.result)


def test_get_gives_the_error_instead_of_raising(lab: Lab) -> None:
    """With `propagate=False` the exception is the value."""
    value = lab.get(tasks.fail.delay(), propagate=False)
    assert (ValueError, ("wrong",)) == (type(value), value.args)
