"""Observers: that of the documentation, an object, a class, one of expiry alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_celery_results import hookimpl
from django_celery_results.testing import ObserverConformance

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch, StoredTask, TaskRecord


class Both:
    """Looks on at everything."""

    @hookimpl
    def after_store(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Look on."""

    @hookimpl(specname="after_expire")
    def gone(self, batch: ExpiryBatch) -> None:
        """Look on, in a function of another name."""

    @hookimpl
    def storage_retried(self, storage_name: str, hook: str, error: Exception, wait: float) -> None:
        """Look on at what has to be done again."""

    @hookimpl
    def observer_failed(self, plugin: str, hook: str, error: Exception) -> None:
        """Look on at others."""


class Expired:
    """Looks on at what goes."""

    @hookimpl
    def after_expire(self) -> None:
        """Look on, and at nothing closely."""


class Trouble:
    """Looks on at what goes wrong."""

    @hookimpl
    def after_store(self) -> None:
        """Look on, so that there is something to go wrong."""

    @hookimpl
    def storage_retried(self, storage_name: str, hook: str, error: Exception, wait: float) -> None:
        """Look on."""

    @hookimpl
    def observer_failed(self, plugin: str, hook: str, error: Exception) -> None:
        """Look on."""


class Unnamed:
    """Looks on by a function that does not have the hook's name."""

    after_store = hookimpl(lambda _self: None)


class TestUnnamed(ObserverConformance):
    """As what a decorator returns."""

    plugin = Unnamed


class TestTrouble(ObserverConformance):
    """One that hears of its own failure."""

    plugin = Trouble


class TestSignal(ObserverConformance):
    """The example of the documentation, which is a module."""

    plugin = "myplugins.finished_signal"


class TestBoth(ObserverConformance):
    """An instance."""

    plugin = Both()


class TestExpired(ObserverConformance):
    """A class."""

    plugin = Expired
