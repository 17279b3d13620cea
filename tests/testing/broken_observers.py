"""Observers with one fault each, and the tests of the suite that find the fault."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from django_celery_results import hookimpl
from django_celery_results.testing import ObserverConformance

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, TaskRecord


class Changing:
    """Changes the record that the other observers see."""

    @hookimpl
    def after_store(self, task: TaskRecord) -> None:
        """Remove the value."""
        task.result = None


class Named:
    """Fails for a task without a name."""

    @hookimpl
    def after_store(self, task: Any) -> None:
        """Use the name as text, although it may be None."""
        task.name.upper()


class Astonished:
    """Does not expect late messages."""

    @hookimpl
    def after_store(self, written: bool) -> None:
        """Insist that the result was written."""
        assert written


class Demanding:
    """Expects records in each batch."""

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Use the first record, although there may be none."""
        assert batch.records[0] is not None


class Tidy:
    """Empties the batch that it sees."""

    @hookimpl
    def after_expire(self, batch: Any) -> None:
        """Remove the ids from the batch."""
        while batch.ids:
            batch.ids.pop()


class Around:
    """Has a wrapper only, and does not observe."""

    @hookimpl(wrapper=True)
    def after_store(self) -> Generator[None, Any, Any]:
        """Let the other implementations run."""
        return (yield)


class Picky:
    """Expects one hook of storages, and one hook of observers."""

    @hookimpl
    def storage_retried(self, hook: str) -> None:
        """Insist on ``store_task``."""
        assert hook == "store_task"

    @hookimpl
    def observer_failed(self, hook: str) -> None:
        """Insist on ``after_store``."""
        assert hook == "after_store"


class TestPicky(ObserverConformance):
    """Other hooks are retried and fail as well."""

    plugin = Picky()
    finds = frozenset({"test_each_retry_is_observed", "test_failure_of_another_is_observed"})


class TestChanging(ObserverConformance):
    """The other observers see the same object."""

    plugin = Changing()
    finds = frozenset({"test_what_it_sees_is_left_as_it_is"})


class TestNamed(ObserverConformance):
    """A result that is stored by hand comes without the task's name."""

    plugin = Named()
    finds = frozenset(
        {
            "test_task_of_which_little_is_known_is_observed",
            "test_values_of_any_kind_are_observed",
        }
    )


class TestAstonished(ObserverConformance):
    """A late message is observed too, although it is not written."""

    plugin = Astonished()
    finds = frozenset({"test_what_is_not_written_is_observed"})


class TestDemanding(ObserverConformance):
    """A batch may come without records."""

    plugin = Demanding()
    finds = frozenset({"test_batch_without_records_is_observed"})


class TestTidy(ObserverConformance):
    """The other observers see an empty batch."""

    plugin = Tidy()
    finds = frozenset({"test_batch_is_left_as_it_is"})


class TestAround(ObserverConformance):
    """None of its functions is an observer."""

    plugin = Around()
    finds = frozenset({"test_plugin_observes"})
