"""The signals that are sent when a row is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import DatabaseError
from django.db.models.signals import post_save, pre_save

from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.sql import saving

from .processes import at_once, store_with_receivers
from .rows import BOTH, COMMITTED, JSON, row, store, write

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# -- Receivers that change the row ----------------------------------------------------


@pytest.fixture
def stamping() -> Iterator[None]:
    """A receiver of ``pre_save`` for each model, which changes the row."""

    def stamp_task(instance: TaskResult, **_: Any) -> None:
        instance.worker = f"stamped {instance.status}"

    def stamp_group(instance: GroupResult, **_: Any) -> None:
        instance.content_encoding = f"stamped {instance.result}"

    pre_save.connect(stamp_task, sender=TaskResult)
    pre_save.connect(stamp_group, sender=GroupResult)
    yield
    pre_save.disconnect(stamp_task, sender=TaskResult)
    pre_save.disconnect(stamp_group, sender=GroupResult)


@pytest.mark.usefixtures("stamping")
def test_what_a_receiver_changes_is_stored_with_every_write() -> None:
    """This holds for the first write of a row and for each later one."""
    write(states.STARTED)
    assert "stamped STARTED" == row().worker
    write(states.SUCCESS)
    assert "stamped SUCCESS" == row().worker


@pytest.mark.usefixtures("stamping")
def test_what_a_receiver_changes_in_a_group_is_stored() -> None:
    """Also in columns that the write itself does not change."""
    for result in ("[]", "[1]"):
        GroupResult.objects.store_group_result("application/json", "utf-8", "g1", result)
        assert f"stamped {result}" == GroupResult.objects.get().content_encoding


@pytest.mark.usefixtures("stamping")
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (states.PENDING, (False, states.RETRY, "w1", "old")),
        (states.STARTED, (True, states.STARTED, "stamped STARTED", "old")),
    ],
)
def test_the_rules_of_writing_hold_with_receivers(
    status: str, expected: tuple[bool, str, str, str]
) -> None:
    """An empty PENDING changes nothing, and what a write does not know is kept."""
    TaskResult.objects.bulk_create(
        [TaskResult(task_id="t1", status=states.RETRY, worker="w1", task_args="old", **JSON)]
    )
    written = write(status, task_args=None, result=None)
    assert expected == (written, row().status, row().worker, row().task_args)


@pytest.mark.usefixtures("sent")
def test_progress_as_pending_is_written_with_receivers() -> None:
    """A result makes PENDING tell something new, unless the caller says otherwise."""
    write(states.STARTED)
    assert write(states.PENDING, result="[1]")
    assert (states.PENDING, "[1]") == (row().status, row().result)
    assert not write(states.PENDING, result="[2]", only_if_absent=True)
    assert "[1]" == row().result


@pytest.mark.usefixtures("stamping")
def test_arguments_under_another_encoding_are_not_kept() -> None:
    """They could not be decoded."""
    write(states.STARTED, task_args="old")
    write(states.SUCCESS, task_args=None, content_encoding="binary")
    assert row().task_args is None


@pytest.mark.usefixtures("sent")
def test_a_row_deleted_since_is_inserted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expiry may delete it between the two statements that look for it."""
    write(states.STARTED)
    monkeypatch.setattr(saving, "_lock", lambda *_: forget())
    assert write(states.SUCCESS)
    assert states.SUCCESS == row().status


def forget() -> None:
    """Delete every row."""
    TaskResult.objects.all().delete()


@COMMITTED
@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("receiver"), states.SUCCESS), (DatabaseError("receiver"), states.STARTED)],
)
def test_an_error_of_a_receiver_reaches_the_caller(error: Exception, status: str) -> None:
    """As with ``save``, the row is written; after an error of the database it is not."""
    write(states.STARTED)

    def fail(**_: Any) -> None:
        raise error

    post_save.connect(fail, sender=TaskResult)
    try:
        with pytest.raises(type(error), match="receiver"):
            write(states.SUCCESS)
    finally:
        post_save.disconnect(fail, sender=TaskResult)
    assert status == row().status


def test_a_save_of_the_sites_own_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site's model may override it instead of receiving signals."""
    original = TaskResult.save

    def save(self: TaskResult, *args: Any, **kwargs: Any) -> None:
        self.worker = "saved"
        original(self, *args, **kwargs)

    monkeypatch.setattr(TaskResult, "save", save)
    write(states.STARTED)
    write(states.SUCCESS)
    assert ("saved", states.SUCCESS) == (row().worker, row().status)


@pytest.mark.races
@pytest.mark.timeout(300)
@COMMITTED
def test_success_is_final_with_receivers() -> None:
    """Sixteen processes write every state in any order: one SUCCESS is stored, and it stays."""
    won = at_once(16, store_with_receivers, "django-db", 15)
    results = {task_id: value for one in won for task_id, value in one.items()}
    assert sum(map(len, won)) == len(results) == 15
    rows = TaskResult.objects.values_list("task_id", "status", "result", "worker")
    assert sorted(rows) == sorted(
        (task_id, states.SUCCESS, str(value), "stamped SUCCESS")
        for task_id, value in results.items()
    )
