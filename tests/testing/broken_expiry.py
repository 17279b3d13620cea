"""Storages whose expiry has one fault each, and the tests of the suite that find the fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import results_sqlite
from django_celery_results import hookimpl
from django_celery_results.testing.storage_expiry import StorageThatExpires

URL = "django-results+sqlite-results://{directory}/results.sqlite3"


def broken(fault: Callable[..., Any]) -> ModuleType:
    """Return the storage of the examples with this fault."""
    plugin = ModuleType("broken")
    vars(plugin).update(vars(results_sqlite), expire_results=hookimpl(fault))
    return plugin


def busy__expire_results(storage: Any, expiry: Any) -> int:
    """Delete every old task that is not STARTED."""
    return _expire(storage, expiry, "status <> 'STARTED'")


def content__expire_results(storage: Any, expiry: Any) -> int:
    """Delete only those old tasks that succeeded."""
    return _expire(storage, expiry, "status = 'SUCCESS'")


def _expire(storage: Any, expiry: Any, condition: str) -> int:
    due = results_sqlite.DUE["task"]
    old = f"expires IS NULL AND written < :now - :age AND {condition}"
    results_sqlite.DUE["task"] = f"(expires <= :now OR {old})"
    try:
        return results_sqlite.expire_results(storage, expiry)
    finally:
        results_sqlite.DUE["task"] = due


def hasty__expire_results(storage: Any, expiry: Any) -> int:
    """Report that a batch is deleted, and then delete it."""

    def before(batch: Any) -> bool:
        taken: bool = expiry.before(batch)
        if taken:
            expiry.after(batch)
        return taken

    early = replace(expiry, before=before if expiry.before else None, after=None)
    return results_sqlite.expire_results(storage, early)


def expire_results(storage: Any, expiry: Any) -> int:
    """Delete without asking the plugins first."""
    return results_sqlite.expire_results(storage, replace(expiry, before=None))


class TestTakesWhatIsUnderWay(StorageThatExpires):
    """It deletes unfinished tasks, except those in one state."""

    plugin = broken(busy__expire_results)
    url = URL
    finds = frozenset({"test_unfinished_tasks_stay"})


class TestTakesWhatEndedWell(StorageThatExpires):
    """The failures stay forever."""

    plugin = broken(content__expire_results)
    url = URL
    finds = frozenset({"test_finished_tasks_go"})


class TestTellsTooEarly(StorageThatExpires):
    """It reports a batch as deleted while the results still exist."""

    plugin = broken(hasty__expire_results)
    url = URL
    finds = frozenset({"test_batch_is_gone_when_that_is_told"})


class TestAsksNobody(StorageThatExpires):
    """Plugins neither see nor keep the results that are about to be deleted."""

    plugin = broken(expire_results)
    url = URL
    finds = frozenset(
        {
            "test_batch_has_its_records",
            "test_batch_that_is_kept_stays",
            "test_batches_are_told_of_before_and_after",
            "test_kept_batches_do_not_stop_the_others",
        }
    )
