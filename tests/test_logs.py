"""Logged errors contain nothing of the exception that a failed task raised."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from celery.app.task import Context

from django_celery_results import hookimpl
from django_celery_results.logs import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from django_celery_results.testing.fixtures import MakeBackend, Register

SECRET = "what the task raised"


def fail(error: Exception | None = None) -> None:
    """Raise an error as a task does."""
    raise error or ValueError(SECRET)


def alone(_handled: Exception) -> None:
    """Raise while no other error is handled."""
    raise KeyError("own")


def with_another(_handled: Exception) -> None:
    """Raise while another error is handled."""
    try:
        fail(LookupError("another"))
    except LookupError as error:
        raise KeyError("own") from error


def because(handled: Exception) -> None:
    """Raise with the handled error as the cause."""
    raise KeyError("own") from handled


def caught(function: Callable[[Exception], None], handled: Exception) -> KeyError:
    """The error that the function raises."""
    with pytest.raises(KeyError) as info:
        function(handled)
    return info.value


@pytest.mark.parametrize(
    ("function", "others"), [(alone, []), (with_another, ["another"]), (because, [])]
)
def test_error_has_nothing_of_what_was_handled(
    function: Callable[[Exception], None], others: list[str]
) -> None:
    """Everything that was raised since is still there."""
    try:
        fail()
    except ValueError as handled:
        error = caught(function, handled)
        shown = "".join(traceback.format_exception(apart(error, handled)))
    words = [SECRET, "another", "own"]
    assert [*others, "own"] == [word for word in words if word in shown]


def test_error_is_whole_where_nothing_was_handled() -> None:
    """Earlier errors are still in its chain."""
    error = apart(caught(with_another, ValueError()), None)
    assert "another" in str(error.__context__)


class Failing:
    """Raises an error after every store."""

    @hookimpl
    def after_store(self) -> None:
        """Raise an error."""
        raise KeyError("of the observer")


@pytest.mark.django_db
def test_failed_observer_logs_nothing_of_the_task(
    make_backend: MakeBackend, registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    """While the task's failure is stored, its exception is being handled."""
    registered(Failing())
    backend = make_backend()
    try:
        fail()
    except ValueError as error:
        backend.mark_as_failure("t1", error, traceback="Traceback …")
    text = logging.Formatter().format(caplog.records[-1])
    assert [False, True] == [word in text for word in (SECRET, "of the observer")]


class Away:
    """Raises an error at every reading until it is switched off."""

    away = True

    @hookimpl(wrapper=True)
    def load_tasks(self) -> Generator[None, Any, Any]:
        """Raise an error."""
        if self.away:
            raise RuntimeError("away")
        return (yield)


@pytest.mark.django_db
def test_chord_that_cannot_be_joined_tells_nothing_of_its_last_part(
    make_backend: MakeBackend, registered: Register, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception is neither in the log nor in the traceback that is stored for the body."""
    plugin = Away()
    registered(plugin)
    backend: Any = make_backend()
    app = backend.app
    backend.apply_chord(("g1", [app.AsyncResult("t1")]), None)
    body = app.signature("body", task_id="b1")
    request = Context({"id": "t1", "task": "part", "group": "g1", "chord": body})
    try:
        fail()
    except ValueError:
        backend.mark_as_failure("t1", KeyError("masked"), request=request)
    plugin.away = False
    texts = [app.AsyncResult("b1").traceback, *map(logging.Formatter().format, caplog.records)]
    assert {(False, True)} == {(SECRET in text, "away" in text) for text in texts}
