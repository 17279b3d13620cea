"""How rows are written: which write replaces which, and what the row then contains."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save

from django_celery_results.managers import TaskResultManager
from django_celery_results.models import TaskResult
from django_celery_results.sql.clock import DatabaseNow

from .processes import STATES
from .rows import BOTH, COMMITTED, JSON, elsewhere, row, store, write

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.django_db


def listener(**_: Any) -> None:
    """Do nothing; with a listener, a row has to be written in more than one statement."""


@pytest.fixture(params=["at once", "in steps"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run each test with a single statement, and with the steps that signals require."""
    if request.param == "in steps":
        post_save.connect(listener, sender=TaskResult)
    yield request.param
    post_save.disconnect(listener, sender=TaskResult)


# -- Writing -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [*STATES, states.PENDING])
def test_the_first_write_makes_the_row(status: str) -> None:
    """This holds for every state."""
    assert write(status)
    assert status == row().status


@pytest.mark.parametrize("status", [*STATES, states.PENDING])
def test_success_is_final(status: str) -> None:
    """Neither another state nor another SUCCESS overwrites it."""
    write(states.SUCCESS)
    assert not write(status, result="2")
    assert (states.SUCCESS, "1") == (row().status, row().result)


@pytest.mark.parametrize("result", [None, "", "null"])
@pytest.mark.parametrize("status", [*STATES, states.PENDING])
def test_empty_pending_overwrites_nothing(status: str, result: str | None) -> None:
    """The row that is written at publish time may arrive last."""
    write(status)
    assert not write(states.PENDING, result=result)
    assert (status, "1") == (row().status, row().result)


def test_a_write_may_be_only_for_an_absent_row() -> None:
    """The result may be encoded in a way that hides whether it is empty."""
    assert write(states.PENDING, result="secret", only_if_absent=True)
    assert not write(states.PENDING, result="other", only_if_absent=True)
    assert "secret" == row().result


@pytest.mark.parametrize("status", [*STATES[:-1], states.PENDING])
def test_pending_with_a_result_is_a_state_like_any_other(status: str) -> None:
    """Some tasks report progress in this state."""
    write(status)
    for progress in ("2", "3"):
        assert progress == store(states.PENDING, result=progress).result
    assert (states.PENDING, "3") == (row().status, row().result)


def test_a_row_may_be_stored_as_pending_without_a_result() -> None:
    """Release 2.6 could do that too; the row that is there is returned."""
    assert None is store(states.PENDING, result=None).result
    assert "1" == store(states.PENDING).result
    assert "1" == store(states.PENDING, result=None).result


@pytest.mark.parametrize("status", [states.PENDING, states.FAILURE, states.RETRY])
def test_other_states_are_overwritten(status: str) -> None:
    """This includes a failure, because the task may have been sent again."""
    write(status)
    assert write(states.SUCCESS, result="2")
    assert (states.SUCCESS, "2") == (row().status, row().result)


@pytest.mark.parametrize(
    "name", ["task_name", "task_args", "task_kwargs", "worker", "periodic_task_name"]
)
def test_extended_fields_are_never_blanked(name: str) -> None:
    """A write without values for them keeps them."""
    known: dict[str, Any] = {name: "known"}
    write(states.STARTED, "t1", **known)
    write(states.FAILURE, "t1", **{name: None})
    assert "known" == getattr(row(), name)


def test_extended_fields_are_replaced_by_others() -> None:
    """Another worker may have taken over the task."""
    write(states.STARTED, worker="one")
    write(states.FAILURE, worker="two")
    assert "two" == row().worker


@pytest.mark.parametrize("name", ["result", "traceback", "meta", "date_expires"])
def test_what_belongs_to_the_state_goes_with_it(name: str) -> None:
    """A success must not show the traceback of a retry."""
    known: Any = datetime.now(timezone.utc) if name == "date_expires" else "known"
    write(states.RETRY, "t1", **{name: known})
    write(states.SUCCESS, "t1", **{name: None})
    assert None is getattr(row(), name)


def test_later_writes_keep_date_started() -> None:
    """It is set once, at STARTED."""
    write(states.STARTED, date_started=DatabaseNow())
    started = row().date_started
    write(states.SUCCESS)
    assert started == row().date_started


def test_date_created_stays() -> None:
    """Only date_done changes."""
    write(states.STARTED)
    before = row()
    write(states.SUCCESS)
    assert before.date_created == row().date_created
    assert before.date_done < row().date_done


def test_a_refused_row_is_an_error_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """No single statement writes it, and the reason is not a race for the id."""
    monkeypatch.setattr(TaskResult.objects, "find_upsert", lambda *_: None)
    with pytest.raises(IntegrityError), transaction.atomic():
        store(content_type=None)


def test_a_refused_row_is_an_error_with_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise if the row is saved as an instance."""
    monkeypatch.setattr(TaskResult.objects, "has_listeners", lambda: True)
    with pytest.raises(IntegrityError), transaction.atomic():
        store(content_type=None)


def test_a_refused_row_is_an_error() -> None:
    """The error is not mistaken for a race for the id."""
    with pytest.raises(IntegrityError), transaction.atomic():
        write(states.FAILURE, content_type=None)


@COMMITTED
def test_a_refused_row_is_an_error_outside_a_transaction() -> None:
    """The connection stays usable."""
    with pytest.raises(IntegrityError):
        write(states.FAILURE, content_type=None)
    assert not TaskResult.objects.exists()


# -- store_result --------------------------------------------------------------------


def test_store_result_returns_the_row() -> None:
    """Its values are those in the database."""
    stored = store(task_name="add", worker="w")
    assert (row().pk, "add", "w", states.SUCCESS) == (
        stored.pk,
        stored.task_name,
        stored.worker,
        stored.status,
    )


def test_store_result_returns_the_row_that_stayed() -> None:
    """This is the result of a write that came too late."""
    store()
    assert states.SUCCESS == store(states.FAILURE).status


def test_store_result_takes_the_retries_of_2_6() -> None:
    """The argument is accepted, but no longer needed."""
    assert states.SUCCESS == store(exception_retry_count=3).status


def test_store_result_takes_the_date_of_the_start() -> None:
    """The date is from the database's clock."""
    assert store(states.STARTED, date_started=DatabaseNow()).date_started is not None


@BOTH
def test_using_names_the_connection() -> None:
    """The row is in no other database."""
    store(using="secondary")
    assert [0, 1] == [TaskResult.objects.using(alias).count() for alias in ("default", "secondary")]


@BOTH
def test_a_bound_manager_writes_where_it_is_bound() -> None:
    """Django's own managers do the same."""
    manager = TaskResult.objects.db_manager("secondary")
    manager.store_result("application/json", "utf-8", "t1", "1", states.SUCCESS)
    assert TaskResult.objects.using("secondary").exists()


@pytest.mark.django_db(transaction=True, databases=["default", "secondary"])
def test_using_shows_progress_while_a_transaction_is_open() -> None:
    """Showing progress this way is the purpose of ``using``."""
    with transaction.atomic():
        store("PROGRESS", using="secondary")
        seen: list[str] = []
        elsewhere(
            lambda: seen.extend(
                TaskResult.objects.using("secondary").values_list("status", flat=True)
            )
        )
    assert ["PROGRESS"] == seen


# -- A site's own --------------------------------------------------------------------


class OwnManager(TaskResultManager):  # type: ignore[type-arg]  # as it was written for 2.6
    """A manager of a site's own."""


def test_a_subclass_of_the_manager_needs_no_type_argument() -> None:
    """It finds and writes rows of the model that it is on."""
    manager = OwnManager()
    manager.model = TaskResult
    assert manager.write("t1", {**JSON, "result": "1", "status": states.SUCCESS})
    assert states.SUCCESS == manager.get_task("t1").status
