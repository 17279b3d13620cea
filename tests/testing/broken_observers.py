"""Observers with a fault each, and the tests of the suite that find it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from django_celery_results import hookimpl
from django_celery_results.testing import ObserverConformance

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, TaskRecord


class Changing:
    """Changes what others see, too."""

    @hookimpl
    def after_store(self, task: TaskRecord) -> None:
        """Hide the value."""
        task.result = None


class Named:
    """Knows no task without a name."""

    @hookimpl
    def after_store(self, task: Any) -> None:
        """Look at the name."""
        task.name.upper()


class Astonished:
    """Did not think of late messages."""

    @hookimpl
    def after_store(self, written: bool) -> None:
        """Be astonished."""
        assert written


class Demanding:
    """Wants records in each batch."""

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Look at the first."""
        assert batch.records[0] is not None


class Tidy:
    """Empties what it has seen."""

    @hookimpl
    def after_expire(self, batch: Any) -> None:
        """Take the ids off the batch."""
        while batch.ids:
            batch.ids.pop()


class Around:
    """Is a wrapper, around nothing."""

    @hookimpl(wrapper=True)
    def after_store(self) -> Generator[None, Any, Any]:
        """Wait for the others."""
        return (yield)


class Picky:
    """Knows one hook of storages, and one of observers."""

    @hookimpl
    def storage_retried(self, hook: str) -> None:
        """Insist on it."""
        assert hook == "store_task"

    @hookimpl
    def observer_failed(self, hook: str) -> None:
        """Insist on it."""
        assert hook == "after_store"


class TestPicky(ObserverConformance):
    """There are others."""

    plugin = Picky()
    finds = frozenset({"test_each_retry_is_observed", "test_failure_of_another_is_observed"})


class TestChanging(ObserverConformance):
    """The objects are not its own."""

    plugin = Changing()
    finds = frozenset({"test_what_it_sees_is_left_as_it_is"})


class TestNamed(ObserverConformance):
    """Whoever stores by hand says no name."""

    plugin = Named()
    finds = frozenset(
        {
            "test_task_of_which_little_is_known_is_observed",
            "test_values_of_any_kind_are_observed",
        }
    )


class TestAstonished(ObserverConformance):
    """A late message changes nothing."""

    plugin = Astonished()
    finds = frozenset({"test_what_is_not_written_is_observed"})


class TestDemanding(ObserverConformance):
    """A batch may come without records."""

    plugin = Demanding()
    finds = frozenset({"test_batch_without_records_is_observed"})


class TestTidy(ObserverConformance):
    """The others see an empty batch."""

    plugin = Tidy()
    finds = frozenset({"test_batch_is_left_as_it_is"})


class TestAround(ObserverConformance):
    """Not one of its functions is called for itself."""

    plugin = Around()
    finds = frozenset({"test_plugin_observes"})
