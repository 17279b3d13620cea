"""Labels on their way: blocks, headers, what a running task hands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery._state import get_current_app
from celery.app.task import Context
from celery.signals import before_task_publish
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse

from django_celery_results_labels import labels
from django_celery_results_labels.sending import attach_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.configuring import Configure


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    """The header of each task that was sent, ``None`` where it had none."""
    found: list[Any] = []

    def note(headers: dict[str, Any], **_: object) -> None:
        found.append(headers.get("labels"))

    before_task_publish.connect(note, weak=False)
    yield found
    before_task_publish.disconnect(note)


@pytest.fixture
def task() -> Iterator[Any]:
    """A task whose messages nobody takes."""
    before = get_current_app()
    app: Any = Celery("labels", broker="memory://", set_as_current=True)

    @app.task(shared=False, bind=True)  # type: ignore[untyped-decorator]  # Celery's stubs do not type it here
    def add(self: Any) -> None:
        """Do nothing: it is only sent."""

    yield add
    app.close()
    before.set_current()


def test_task_in_a_block_is_labelled(task: Any, sent: list[Any]) -> None:
    """As text; one outside of it is not."""
    with labels(tenant=3, user="x"):
        task.delay()
    task.delay()
    assert [{"tenant": "3", "user": "x"}, None] == sent


def test_inner_block_adds_replaces_and_takes_away(task: Any, sent: list[Any]) -> None:
    """Until it ends."""
    with labels(tenant=3, user="x"):
        with labels(user=None, step=1, tenant=4):
            task.delay()
        task.delay()
    assert [{"tenant": "4", "step": "1"}, {"tenant": "3", "user": "x"}] == sent


def test_block_ends_when_it_fails(task: Any, sent: list[Any]) -> None:
    """What comes after is not labelled."""
    with pytest.raises(KeyError), labels(tenant=3):
        raise KeyError
    task.delay()
    assert [None] == sent


def test_header_counts_more_than_the_block(task: Any, sent: list[Any]) -> None:
    """Label by label."""
    with labels(tenant=3, user="x", step=1):
        task.apply_async(headers={"labels": {"tenant": 4, "user": None}})
    assert [{"tenant": 4, "step": "1"}] == sent


def test_header_that_is_no_mapping_is_sent_as_it_is(task: Any, sent: list[Any]) -> None:
    """The worker says so, with the task's id."""
    with labels(tenant=3):
        task.apply_async(headers={"labels": "tenant=4"})
    assert ["tenant=4"] == sent


@pytest.mark.parametrize("headers", [None, {}, {"labels": {"tenant": 3}}])
def test_running_task_hands_its_labels_on(
    task: Any, sent: list[Any], headers: dict[str, Any] | None
) -> None:
    """To all that it sends; a block in it adds to them."""
    from celery._state import _task_stack  # type: ignore[attr-defined]  # absent from the stubs

    task.push_request(**vars(Context(id="t1", headers=headers, called_directly=False)))
    _task_stack.push(task)
    try:
        with labels(step=1):
            task.delay()
    finally:
        _task_stack.pop()
        task.pop_request()
    assert [{**({"tenant": 3} if headers else {}), "step": "1"}] == sent


def test_wrong_labels_are_refused_where_they_are_set() -> None:
    """Before any task is sent."""
    with pytest.raises(ValueError, match="a label is text"), labels(tenant=[3]):
        pass


def test_disabled_plugin_sends_nothing(configure: Configure, task: Any, sent: list[Any]) -> None:
    """A block is without effect then."""
    configure(DISABLED_PLUGINS=["labels"])
    with labels(tenant=3):
        task.delay()
    assert [None] == sent


def test_signal_without_headers_is_passed_over() -> None:
    """Whoever sends it by hand may leave them out."""
    attach_labels(sender="somebody")


@pytest.mark.usefixtures("task")
def test_documented_ways_label_a_task(sent: list[Any]) -> None:
    """By a block, and by a header."""
    from labels_usage import report_once, report_to

    report_to(3)
    report_once(4)
    assert [{"tenant": "3", "user": "x"}, {"tenant": 4}] == sent


def test_middleware_labels_what_a_request_sends(task: Any, sent: list[Any], rf: Any) -> None:
    """The one of the documentation."""
    from labels_middleware import label_tasks

    def view(_request: Any) -> HttpResponse:
        task.delay()
        return HttpResponse("sent")

    request = rf.get("/reports/")
    request.user = AnonymousUser()
    assert b"sent" == label_tasks(view)(request).content
    assert [{"path": "/reports/"}] == sent
