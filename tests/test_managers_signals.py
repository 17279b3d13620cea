"""The signals that are sent when a row is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db.models.signals import post_save, pre_save

from django_celery_results.models import GroupResult, TaskResult

from .rows import BOTH, store, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.managers import TaskResultManager

pytestmark = pytest.mark.django_db

Sent = list[tuple[str, str, "bool | None", str]]


@pytest.fixture
def sent() -> Iterator[Sent]:
    """The signals that were sent for task rows."""
    heard: Sent = []

    def before(instance: TaskResult, using: str, **_: Any) -> None:
        heard.append(("pre_save", instance.status, None, using))

    def after(instance: TaskResult, created: bool, using: str, **_: Any) -> None:
        heard.append(("post_save", instance.status, created, using))

    pre_save.connect(before, sender=TaskResult)
    post_save.connect(after, sender=TaskResult)
    yield heard
    pre_save.disconnect(before, sender=TaskResult)
    post_save.disconnect(after, sender=TaskResult)


def test_a_new_row_sends_the_signals_of_saving(sent: Sent) -> None:
    """They say that the row was created."""
    write(states.STARTED)
    assert [
        ("pre_save", states.STARTED, None, "default"),
        ("post_save", states.STARTED, True, "default"),
    ] == sent


def test_an_update_sends_the_signals_of_saving(sent: Sent) -> None:
    """They have the instance with its new values."""
    write(states.STARTED)
    sent.clear()
    write(states.SUCCESS)
    assert [
        ("pre_save", states.SUCCESS, None, "default"),
        ("post_save", states.SUCCESS, False, "default"),
    ] == sent


def test_a_write_that_comes_too_late_saves_nothing(sent: Sent) -> None:
    """No signal is sent, because no row is saved."""
    write(states.SUCCESS)
    sent.clear()
    write(states.FAILURE)
    assert not [one for one in sent if one[0] == "post_save"]


@BOTH
def test_signals_name_the_database(sent: Sent) -> None:
    """It is the database that was written to."""
    store(states.STARTED, using="secondary")
    store(states.SUCCESS, using="secondary")
    assert {"secondary"} == {using for *_, using in sent}


def test_a_row_deleted_since_sends_nothing(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signals need an instance, and the row is gone."""
    write(states.STARTED)
    sent.clear()
    monkeypatch.setattr(TaskResult.objects, "_update", forgetting(TaskResult.objects))
    assert write(states.SUCCESS)
    assert [] == sent


def forgetting(manager: TaskResultManager[TaskResult]) -> Callable[[str, Any, str], bool]:
    """Return an update that deletes the row before it is announced."""

    def update(task_id: str, _fields: Any, alias: str) -> bool:
        manager.filter(task_id=task_id).delete()
        manager._announce_update(task_id, alias)
        return True

    return update


def test_a_saved_group_sends_the_signals_of_saving() -> None:
    """Only the first ones say that the row was created."""
    heard: list[bool] = []

    def after(created: bool, **_: Any) -> None:
        heard.append(created)

    post_save.connect(after, sender=GroupResult)
    for result in ("[]", "[1]"):
        GroupResult.objects.store_group_result("application/json", "utf-8", "g1", result)
    post_save.disconnect(after, sender=GroupResult)
    assert ([True, False], "[1]") == (heard, GroupResult.objects.get(group_id="g1").result)
