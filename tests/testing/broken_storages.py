"""Storages with one fault each, and the tests of the suite that find the fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import results_sqlite
from django_celery_results import hookimpl
from django_celery_results.records import StoredPart
from django_celery_results.testing.storage_chords import StorageOfChords
from django_celery_results.testing.storage_races import StorageInRaces
from django_celery_results.testing.storage_tasks import StorageOfGroups, StorageOfTasks

URL = "django-results+sqlite-results://{directory}/results.sqlite3"
#: Numbers that tell two deliveries of one part apart.
DELIVERIES = count()


class Broken:
    """The storage of the examples with one fault."""

    django_celery_results_name = results_sqlite.django_celery_results_name

    def __init__(self, *faults: Callable[..., Any]) -> None:
        for name, function in vars(results_sqlite).items():
            if hasattr(function, "django_celery_results_impl"):
                setattr(self, name, function)
        for fault in faults:
            setattr(self, fault.__name__.rpartition("__")[2], hookimpl(fault))


class Described(results_sqlite.Store):
    """The file, which says something of itself."""

    def __init__(self, store: results_sqlite.Store, **description: str) -> None:
        super().__init__(store.path)
        vars(self).update(description)


# What stands before two underscores tells the faults of one hook from each other.


def unnamed__open_storage(location: Any) -> Any:
    """Have another name each time it is opened."""
    return Described(results_sqlite.open_storage(location), place=f"place {next(DELIVERIES)}")


def nowhere__open_storage(location: Any) -> Any:
    """Name a database that the site does not have."""
    return Described(results_sqlite.open_storage(location), using="nowhere")


def store_task(storage: Any, task: Any) -> bool:
    """Write the new state, whatever was stored before."""
    results_sqlite.forget_task(storage, task.task_id)
    return results_sqlite.store_task(storage, task)


def careless__store_task(storage: Any, task: Any) -> bool:
    """Keep known arguments, however the new state is encoded."""
    known = results_sqlite.load_tasks(storage, [task.task_id])
    kept = known[0].contents.fields if known else {}
    fields = {**task.contents.fields}
    for name in ("args", "kwargs"):
        fields[name] = fields[name] or kept.get(name)
    contents = replace(task.contents, fields=fields)
    return results_sqlite.store_task(storage, replace(task, contents=contents))


def waiting__store_task(storage: Any, task: Any) -> bool:
    """Store PENDING only if nothing is stored, as if it never had a value."""
    only_if_absent = task.only_if_absent or task.status == "PENDING"
    return results_sqlite.store_task(storage, replace(task, only_if_absent=only_if_absent))


def latin__store_task(storage: Any, task: Any) -> bool:
    """Replace the characters that Latin-1 does not have."""
    fields = {
        name: text and text.encode("latin-1", "replace").decode("latin-1")
        for name, text in task.contents.fields.items()
    }
    contents = replace(task.contents, fields=fields)
    return results_sqlite.store_task(storage, replace(task, contents=contents))


def tired__store_task(storage: Any, task: Any) -> bool:
    """Check the known state, pause, and then write."""
    known = results_sqlite.load_tasks(storage, [task.task_id])
    if known and (known[0].status == "SUCCESS" or task.only_if_absent):
        return False
    time.sleep(0.005)
    results_sqlite.store_task(storage, task)
    return True


def marking__store_task(storage: Any, task: Any) -> bool:
    """Change the task, which belongs to the caller."""
    written = results_sqlite.store_task(storage, task)
    task.worker = "seen"
    return written


def lower__store_task(storage: Any, task: Any) -> bool:
    """Store the id in lower case."""
    return results_sqlite.store_task(storage, replace(task, task_id=task.task_id.lower()))


def lower__load_tasks(storage: Any, task_ids: Sequence[str]) -> Any:
    """Find the ids in lower case."""
    ids = {one.lower(): one for one in task_ids}
    found = results_sqlite.load_tasks(storage, list(ids))
    return [replace(task, task_id=ids[task.task_id]) for task in found]


def lower__forget_task(storage: Any, task_id: str) -> bool:
    """Forget the id in lower case."""
    return results_sqlite.forget_task(storage, task_id.lower())


def placed__load_tasks(storage: Any, task_ids: Sequence[str]) -> Any:
    """Return an item for each id, with None for a missing task."""
    found = {task.task_id: task for task in results_sqlite.load_tasks(storage, task_ids)}
    return [found.get(one) for one in task_ids]


def typed__load_tasks(storage: Any, task_ids: Sequence[str]) -> Any:
    """Claim that all contents are JSON."""
    return [
        replace(task, contents=replace(task.contents, content_type="application/json"))
        for task in results_sqlite.load_tasks(storage, task_ids)
    ]


def textual__load_tasks(storage: Any, task_ids: Sequence[str]) -> Any:
    """Return an empty text in place of None."""
    return [
        replace(task, contents=replace(task.contents, fields=_textual(task.contents.fields)))
        for task in results_sqlite.load_tasks(storage, task_ids)
    ]


def _textual(fields: Any) -> Any:
    return {name: text or "" for name, text in fields.items()}


def shared__load_group(storage: Any, group_id: str) -> Any:
    """Find no group if there is a task with its id."""
    there = results_sqlite.load_tasks(storage, [group_id])
    return None if there else results_sqlite.load_group(storage, group_id)


def save_group(storage: Any, group: Any) -> bool:
    """Keep the group that is already there."""
    known = results_sqlite.load_group(storage, group.group_id)
    return True if known else results_sqlite.save_group(storage, group)


def chord_part_returned(storage: Any, part: Any) -> Any:
    """Count each delivery as another part."""
    part = replace(part, task_id=f"{part.task_id} {next(DELIVERIES)}")
    return results_sqlite.chord_part_returned(storage, part)


def eager__chord_part_returned(storage: Any, part: Any) -> Any:
    """Give the claim to every caller once all parts have returned."""
    progress = results_sqlite.chord_part_returned(storage, part)
    return progress and replace(progress, claimed=progress.waiting == 0)


def store_part(storage: Any, task: Any, part: Any) -> StoredPart:
    """Count every part, even the last one, which ``chord_part_returned`` has to count."""
    written = results_sqlite.store_task(storage, task)
    progress = results_sqlite.chord_part_returned(storage, part)
    return StoredPart(written=written, counted=progress is not None)


def forgetful__store_part(storage: Any, part: Any) -> StoredPart:
    """Count a new part, and store nothing."""
    chord = next(iter(results_sqlite.unfinished_chords(storage)), None)
    is_counted = chord is not None and part.task_id not in chord.counted and chord.waiting > 1
    if is_counted:
        results_sqlite.chord_part_returned(storage, part)
    return StoredPart(written=True, counted=is_counted)


class TestHasManyNames(StorageOfTasks):
    """A plugin would not find the files that it has named after the storage."""

    plugin = Broken(unnamed__open_storage)
    url = URL
    finds = frozenset({"test_plugins_can_use_what_the_storage_says_of_itself"})


class TestNamesNoDatabase(StorageOfTasks):
    """A plugin would look for a transaction where there is no database."""

    plugin = Broken(nowhere__open_storage)
    url = URL
    finds = frozenset({"test_plugins_can_use_what_the_storage_says_of_itself"})


class TestOverwrites(StorageOfTasks):
    """The last state that is written wins, whichever it is."""

    plugin = Broken(store_task)
    url = URL
    finds = frozenset(
        {
            "test_empty_pending_overwrites_nothing",
            "test_success_is_final",
            "test_what_stays_of_an_earlier_state",
            "test_what_was_known_is_not_blanked",
        }
    )


class TestKeepsWhatCannotBeDecoded(StorageOfTasks):
    """It keeps arguments under the content encoding of another state."""

    plugin = Broken(careless__store_task)
    url = URL
    finds = frozenset({"test_what_stays_of_an_earlier_state"})


class TestDropsProgress(StorageOfTasks):
    """It takes progress that a task reports as PENDING for the PENDING of a task that was sent."""

    plugin = Broken(waiting__store_task)
    url = URL
    finds = frozenset({"test_pending_with_a_value_is_a_state_like_any_other"})


class TestIsLatin(StorageOfTasks):
    """It loses characters that Latin-1 does not have."""

    plugin = Broken(latin__store_task)
    url = URL
    finds = frozenset({"test_contents_come_back_as_they_were", "test_ids_may_look_like_anything"})


class TestRests(StorageInRaces):
    """Another writer can come between its check and its write."""

    plugin = Broken(tired__store_task)
    url = URL
    is_shared = has_chords = has_expiry = False
    finds = frozenset({"test_one_success_wins"})


class TestMarks(StorageOfTasks):
    """It changes the object that observers see."""

    plugin = Broken(marking__store_task)
    url = URL
    finds = frozenset({"test_task_that_is_stored_is_left_as_it_is"})


class TestHasSmallLetters(StorageOfTasks):
    """It treats ids that differ only in case as the same."""

    plugin = Broken(lower__store_task, lower__load_tasks, lower__forget_task)
    url = URL
    finds = frozenset({"test_ids_may_look_like_anything"})


class TestHasAPlaceForEach(StorageOfTasks):
    """It returns None for a missing task instead of leaving it out."""

    plugin = Broken(placed__load_tasks)
    url = URL
    finds = frozenset(
        {
            "test_forgotten_task_is_gone",
            "test_many_ids_are_loaded_at_once",
            "test_what_is_not_there_is_left_out",
        }
    )


class TestHasOneType(StorageOfTasks):
    """It loses the content type."""

    plugin = Broken(typed__load_tasks)
    url = URL
    finds = frozenset({"test_contents_may_be_of_any_type"})


class TestHasNothingButText(StorageOfTasks):
    """It turns None into an empty text."""

    plugin = Broken(textual__load_tasks)
    url = URL
    finds = frozenset(
        {
            "test_contents_come_back_as_they_were",
            "test_contents_may_be_of_any_type",
            "test_what_stays_of_an_earlier_state",
        }
    )


class TestTakesAGroupForATask(StorageOfGroups):
    """It does not find a group that has the id of a task."""

    plugin = Broken(shared__load_group)
    url = URL
    finds = frozenset({"test_group_may_have_the_id_of_a_task"})


class TestKeepsTheFirstGroup(StorageOfGroups):
    """Saving a group again does not replace it."""

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


class TestClaimsForEverybody(StorageOfChords):
    """The body is sent as often as the last part is delivered."""

    plugin = Broken(eager__chord_part_returned)
    url = URL
    finds = frozenset({"test_claim_is_given_once"})


class TestCountsTheLastPart(StorageOfChords):
    """The claim that the last part gets is lost, so the body is never sent."""

    plugin = Broken(store_part)
    url = URL
    stores_parts = True
    finds = frozenset(
        {
            "test_celery_sends_the_body_once",
            "test_last_part_is_stored_and_left_to_be_counted",
            "test_part_that_is_delivered_again_changes_nothing",
        }
    )


class TestCountsAndForgets(StorageOfChords):
    """The result of a part is not stored."""

    plugin = Broken(forgetful__store_part)
    url = URL
    stores_parts = True
    finds = frozenset(
        {
            "test_celery_sends_the_body_once",
            "test_last_part_is_stored_and_left_to_be_counted",
            "test_part_is_stored_and_counted",
            "test_part_of_no_chord_is_stored",
            "test_part_that_is_delivered_again_changes_nothing",
            "test_part_that_is_stored_already_is_counted",
        }
    )
