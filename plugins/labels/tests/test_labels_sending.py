"""How labels reach a task: blocks, headers, and inheritance from the running task."""

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
    """The ``labels`` header of each sent task, ``None`` if it has none."""
    found: list[Any] = []

    def note(headers: dict[str, Any], **_: object) -> None:
        found.append(headers.get("labels"))

    before_task_publish.connect(note, weak=False)
    yield found
    before_task_publish.disconnect(note)


@pytest.fixture
def task() -> Iterator[Any]:
    """A task whose messages no worker receives."""
    before = get_current_app()
    app: Any = Celery("labels", broker="memory://", set_as_current=True)

    @app.task(shared=False, bind=True)  # type: ignore[untyped-decorator]  # Celery's stubs leave it untyped here
    def add(self: Any) -> None:
        """Do nothing; the task is only sent."""

    yield add
    app.close()
    before.set_current()


def test_task_in_a_block_is_labelled(task: Any, sent: list[Any]) -> None:
    """Values become text; a task sent outside the block gets none."""
    with labels(tenant=3, user="x"):
        task.delay()
    task.delay()
    assert [{"tenant": "3", "user": "x"}, None] == sent


def test_inner_block_adds_replaces_and_removes_labels(task: Any, sent: list[Any]) -> None:
    """Only until the inner block ends."""
    with labels(tenant=3, user="x"):
        with labels(user=None, step=1, tenant=4):
            task.delay()
        task.delay()
    assert [{"tenant": "4", "step": "1"}, {"tenant": "3", "user": "x"}] == sent


def test_block_ends_on_an_error(task: Any, sent: list[Any]) -> None:
    """Tasks sent afterwards get no labels."""
    with pytest.raises(KeyError), labels(tenant=3):
        raise KeyError
    task.delay()
    assert [None] == sent


def test_header_takes_precedence_over_the_block(task: Any, sent: list[Any]) -> None:
    """For each label separately."""
    with labels(tenant=3, user="x", step=1):
        task.apply_async(headers={"labels": {"tenant": 4, "user": None}})
    assert [{"tenant": 4, "step": "1"}] == sent


def test_header_that_is_not_a_mapping_is_sent_unchanged(task: Any, sent: list[Any]) -> None:
    """The worker logs it with the task's id."""
    with labels(tenant=3):
        task.apply_async(headers={"labels": "tenant=4"})
    assert ["tenant=4"] == sent


@pytest.mark.parametrize("headers", [None, {}, {"labels": {"tenant": 3}}])
def test_running_task_passes_its_labels_on(
    task: Any, sent: list[Any], headers: dict[str, Any] | None
) -> None:
    """To every task that it sends; a block inside it adds labels."""
    from celery._state import _task_stack  # type: ignore[attr-defined]  # missing from the stubs

    task.push_request(**vars(Context(id="t1", headers=headers, called_directly=False)))
    _task_stack.push(task)
    try:
        with labels(step=1):
            task.delay()
    finally:
        _task_stack.pop()
        task.pop_request()
    assert [{**({"tenant": 3} if headers else {}), "step": "1"}] == sent


def test_invalid_labels_are_refused_where_they_are_set() -> None:
    """Before a task is sent."""
    with pytest.raises(ValueError, match="a label has to be text"), labels(tenant=[3]):
        pass


def test_disabled_plugin_sends_nothing(configure: Configure, task: Any, sent: list[Any]) -> None:
    """A block then does nothing."""
    configure(DISABLED_PLUGINS=["labels"])
    with labels(tenant=3):
        task.delay()
    assert [None] == sent


def test_signal_without_headers_is_ignored() -> None:
    """Code that sends the signal by hand may leave them out."""
    attach_labels(sender="somebody")


@pytest.mark.usefixtures("task")
def test_documented_examples_label_a_task(sent: list[Any]) -> None:
    """With a block, and with a header."""
    from labels_usage import report_once, report_to

    report_to(3)
    report_once(4)
    assert [{"tenant": "3", "user": "x"}, {"tenant": 4}] == sent


def test_middleware_labels_the_tasks_of_a_request(task: Any, sent: list[Any], rf: Any) -> None:
    """The documentation shows it."""
    from labels_middleware import label_tasks

    def view(_request: Any) -> HttpResponse:
        task.delay()
        return HttpResponse("sent")

    request = rf.get("/reports/")
    request.user = AnonymousUser()
    assert b"sent" == label_tasks(view)(request).content
    assert [{"path": "/reports/"}] == sent
