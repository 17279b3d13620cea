"""Observers that pass: the one in the documentation, an instance, a class, one of expiry only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_celery_results import hookimpl
from django_celery_results.testing import ObserverConformance

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, StoredTask, TaskRecord


class Both:
    """Observes every hook of observers."""

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Observe a store."""

    @hookimpl(specname="after_expire")
    def gone(self, batch: ExpiryBatch) -> None:
        """Observe a batch, in a function with another name."""

    @hookimpl
    def storage_retried(self, storage_name: str, hook: str, error: Exception, wait: float) -> None:
        """Observe a retry."""

    @hookimpl
    def observer_failed(self, plugin: str, hook: str, error: Exception) -> None:
        """Observe another observer's failure."""


class Expired:
    """Observes expiry only."""

    @hookimpl
    def after_expire(self) -> None:
        """Observe, but take no argument."""


class Trouble:
    """Observes retries and failures."""

    @hookimpl
    def after_store(self) -> None:
        """Observe a store, so that there is a hook that can fail."""

    @hookimpl
    def storage_retried(self, storage_name: str, hook: str, error: Exception, wait: float) -> None:
        """Observe a retry."""

    @hookimpl
    def observer_failed(self, plugin: str, hook: str, error: Exception) -> None:
        """Observe a failure."""


class Unnamed:
    """Observes in a function that does not have the hook's name."""

    after_store = hookimpl(lambda _self: None)


class TestUnnamed(ObserverConformance):
    """A decorator may return such a function."""

    plugin = Unnamed


class TestTrouble(ObserverConformance):
    """It also hears of its own failure."""

    plugin = Trouble


class TestSignal(ObserverConformance):
    """The example in the documentation, which is a module."""

    plugin = "myplugins.finished_signal"


class TestBoth(ObserverConformance):
    """The plugin is an instance."""

    plugin = Both()


class TestExpired(ObserverConformance):
    """The plugin is a class."""

    plugin = Expired
