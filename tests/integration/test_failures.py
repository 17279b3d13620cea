"""Tasks that fail, are retried, revoked or ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery.exceptions import TaskRevokedError, TimeoutError  # noqa: A004  Celery's name

from django_celery_results.exceptions import TaskFailed
from django_celery_results.models import TaskResult
from tests.integration import notes, tasks
from tests.integration.notes import eventually
from tests.integration.values import EXCEPTIONS

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_comes_back_as_itself(lab: Lab, name: str) -> None:
    """The waiter gets an exception of the same class with the same arguments."""
    expected = EXCEPTIONS[name]
    result: Any = tasks.fail.delay(name)
    actual = lab.error(result)
    assert (expected.__class__.__qualname__, expected.args) == (
        type(actual).__qualname__,
        actual.args,
    )
    assert isinstance(actual, type(expected))
    assert "FAILURE" == result.state


def test_a_failure_stored_by_hand_carries_its_value(own_lab: Lab) -> None:
    """`update_state` stored a dict that is no exception, and `Ignore` left it there."""
    result: Any = tasks.fail_by_hand.delay({"reason": "no stock"})
    with pytest.raises(TaskFailed) as raised:
        own_lab.get(result)
    assert ("FAILURE", True, ({"reason": "no stock"},)) == (
        result.state,
        result.failed(),
        raised.value.args,
    )


def test_a_task_that_is_not_registered_fails_under_its_name(own_lab: Lab) -> None:
    """No worker can run it, but the result tells which task it was."""
    result: Any = own_lab.app.send_task("no.such.task")
    error = own_lab.error(result)
    assert ("NotRegistered", ("no.such.task",)) == (type(error).__name__, error.args)
    assert "no.such.task" == result.name
    if own_lab.combination.is_database:
        assert "no.such.task" == TaskResult.objects.get(task_id=result.id).task_name


def test_get_raises_the_exception(lab: Lab) -> None:
    """`get` propagates what the task raised."""
    with pytest.raises(ValueError, match=r"^wrong$"):
        lab.get(tasks.fail.delay())


def test_the_traceback_is_kept(lab: Lab) -> None:
    """The traceback is the text that the worker saw."""
    result: Any = tasks.fail.delay()
    lab.error(result)
    text = result.traceback
    assert text.startswith("Traceback (most recent call last):\n")
    assert "raise EXCEPTIONS[name]" in text
    assert text.endswith("ValueError: wrong\n")


def test_a_traceback_with_nul_is_kept(lab: Lab) -> None:
    """The result and the traceback both survive; a row holds the NUL in escaped form."""
    result: Any = tasks.fail.delay("nul")
    assert ("before\x00after",) == lab.error(result).args
    expected = "before\x00after" if not lab.combination.is_database else "before\\x00after"
    assert expected in result.traceback


def test_a_result_that_cannot_be_serialized_is_a_failure(lab: Lab) -> None:
    """The task fails with the serializer's error."""
    result: Any = tasks.unserializable.delay()
    error = lab.error(result)
    assert "FAILURE" == result.state
    assert UNSERIALIZABLE[lab.combination.keeps_objects] in f"{type(error).__name__}: {error}"


UNSERIALIZABLE = {
    False: "EncodeError: TypeError('Object of type function is not JSON serializable')",
    # The wording of pickle's error differs between versions of Python.
    True: "local object",
}


def test_a_retried_task_succeeds(lab: Lab) -> None:
    """The result is that of the last try."""
    result: Any = tasks.flaky.delay(2)
    assert (2, "SUCCESS") == (lab.get(result), result.state)


def test_a_task_whose_retries_are_used_up_fails(lab: Lab) -> None:
    """The exception is the one given to `retry`."""
    result: Any = tasks.flaky.delay(3)
    error = lab.error(result)
    assert ("FAILURE", ValueError, ("not yet",)) == (result.state, type(error), error.args)


@pytest.mark.usefixtures("lab")
def test_a_task_to_be_retried_says_so() -> None:
    """The state is RETRY, with the exception as the result, and a traceback."""
    result: Any = tasks.retry_later.delay()
    eventually(lambda: result.state == "RETRY")
    assert isinstance(result.result, ValueError)
    assert ("later",) == result.result.args
    assert "Retry in 3600s: ValueError('later')" in result.traceback
    assert not result.ready()
    assert result.date_done is None
    result.revoke()


def test_a_task_revoked_before_its_start_is_revoked(lab: Lab) -> None:
    """The worker drops the task, and the waiter gets an error."""
    # The task waits in the worker, which drops it when it is due to start.
    result: Any = tasks.note.apply_async((lab.key,), countdown=1)
    result.revoke()
    with pytest.raises(TaskRevokedError, match=r"^revoked$"):
        lab.get(result)
    assert ("REVOKED", []) == (result.state, notes.read(lab.key))


def test_an_ignored_result_is_not_stored(lab: Lab) -> None:
    """The task runs, but its result stays unknown."""
    result: Any = tasks.ignored.delay(lab.key)
    assert ["ran"] == lab.notes()
    assert "PENDING" == lab.app.AsyncResult(result.id).state


def test_a_result_ignored_by_one_call_is_not_stored(lab: Lab) -> None:
    """`ignore_result` works in `apply_async` as it does on the task."""
    result: Any = tasks.note.apply_async((lab.key,), ignore_result=True)
    assert ["ran"] == lab.notes(settle=0.2)
    assert "PENDING" == lab.app.AsyncResult(result.id).state


@pytest.mark.usefixtures("lab")
def test_a_task_that_opts_out_leaves_its_state() -> None:
    """`Ignore` stores nothing."""
    result: Any = tasks.ignore_me.delay()
    with pytest.raises(TimeoutError):
        result.get(timeout=0.5, interval=0.05)
    assert "PENDING" == result.state
