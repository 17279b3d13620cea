"""Storages with a fault each, and the tests of the suite that find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import results_sqlite
from django_celery_results import hookimpl
from django_celery_results.testing.storage_chords import StorageOfChords
from django_celery_results.testing.storage_expiry import StorageThatExpires
from django_celery_results.testing.storage_tasks import StorageOfGroups, StorageOfTasks

URL = "django-results+broken://{directory}/results.sqlite3"
#: What two deliveries of one part are told apart by.
DELIVERIES = count()


class Broken:
    """The storage of the examples, but for one fault."""

    django_celery_results_name = "broken"

    def __init__(self, fault: Callable[..., Any]) -> None:
        for name, function in vars(results_sqlite).items():
            if hasattr(function, "django_celery_results_impl"):
                setattr(self, name, function)
        setattr(self, fault.__name__, hookimpl(fault))


def store_task(storage: Any, task: Any) -> bool:
    """Look before it writes, and not closely."""
    results_sqlite.forget_task(storage, task.task_id)
    return results_sqlite.store_task(storage, task)


def save_group(storage: Any, group: Any) -> bool:
    """Leave the group that is there."""
    known = results_sqlite.load_group(storage, group.group_id)
    return True if known else results_sqlite.save_group(storage, group)


def chord_part_returned(storage: Any, part: Any) -> Any:
    """Count deliveries."""
    part = replace(part, task_id=f"{part.task_id} {next(DELIVERIES)}")
    return results_sqlite.chord_part_returned(storage, part)


def expire_results(storage: Any, expiry: Any) -> int:
    """Ask nobody."""
    return results_sqlite.expire_results(storage, replace(expiry, before=None))


class TestOverwrites(StorageOfTasks):
    """The last state wins, whichever it is."""

    plugin = Broken(store_task)
    url = URL
    finds = frozenset(
        {
            "test_pending_overwrites_nothing",
            "test_success_is_final",
            "test_what_was_known_is_not_blanked",
        }
    )


class TestKeepsTheFirstGroup(StorageOfGroups):
    """Saving again replaces nothing."""

    plugin = Broken(save_group)
    url = URL
    finds = frozenset({"test_group_that_is_saved_again_is_replaced"})


class TestCountsDeliveries(StorageOfChords):
    """A part counts as often as it is delivered."""

    plugin = Broken(chord_part_returned)
    url = URL
    finds = frozenset(
        {
            "test_celery_sends_the_body_once",
            "test_part_counts_once",
            "test_parts_that_bring_their_result_give_it_to_the_claim",
            "test_unfinished_chord_is_listed",
        }
    )


class TestAsksNobody(StorageThatExpires):
    """Plugins do not see what is about to go."""

    plugin = Broken(expire_results)
    url = URL
    finds = frozenset(
        {
            "test_batch_has_its_records",
            "test_batch_that_is_kept_stays",
            "test_batches_are_told_of_before_and_after",
            "test_kept_batches_do_not_stop_the_others",
        }
    )
