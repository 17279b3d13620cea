"""A site of 2.6.0 replaces the distribution: no stored result and no begun chord is lost.

2.6.0 runs from its own virtual environment, with its scripts. This release has to read its rows
as 2.6.0 itself reads them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests import settings
from tests.environments import install, new_environment
from tests.site import Site, empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.swap, pytest.mark.timeout(900)]

SCRIPTS = "tests.swap"
DRIVERS = {"sqlite": [], "postgresql": ["psycopg[binary]"], "mariadb": ["mysqlclient"]}
ADMIN = """\
INSTALLED_APPS += [f"django.contrib.{app}" for app in ("auth", "messages", "sessions", "admin")]
DJANGO_CELERY_RESULTS_ID_FIRST_URLS = False
"""
BODY_SENT = [{"task": "swap.total", "args": [[0, 10, 20, 30, 40]]}]
UNFINISHED = {f"str: {state!r}" for state in ("STARTED", "RETRY", "PROGRESS")}


class Swapped(NamedTuple):
    """A site that 2.6.0 has worked on and this release has migrated."""

    site: Site
    old_python: str
    old_reading: dict[str, Any]


def old_python(directory: Path) -> str:
    """Return the Python of an environment with 2.6.0, created in ``directory`` if missing."""
    python = directory / "bin" / "python"
    ready = directory / f".ready-{settings.DATABASE}"
    if ready.exists():
        return str(python)
    packages = ["django-celery-results==2.6.0", "Django~=5.2.0", "celery[msgpack,yaml]>=5.5,<6"]
    packages += DRIVERS[settings.DATABASE]
    install(new_environment(directory), *packages)
    ready.touch()
    return str(python)


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swapped]:
    """A database that 2.6.0 created and filled, and this release migrated."""
    cached = os.environ.get("RESULTS_SWAP_VENV")
    python = old_python(Path(cached) if cached else tmp_path_factory.mktemp("old"))
    directory = tmp_path_factory.mktemp("swap")
    with empty_database("swap", directory) as database:
        site = Site(directory, database)
        site.manage("migrate", python=python)
        site.script(f"{SCRIPTS}.fill", python=python)
        reading = site.script(f"{SCRIPTS}.read", "own", python=python)
        site.manage("migrate")
        yield Swapped(site, python, reading)


def expected_of(old: dict[str, str]) -> dict[str, str]:
    """Return the output of this release that corresponds to the output ``old`` of 2.6.0.

    They are equal except for two errors of 2.6.0: its ``AsyncResult.name`` has no name, and its
    unfinished tasks have a time at which they were done.
    """
    expected = old | {".name": old["task_name"]}
    if old["status"] in UNFINISHED:
        expected |= {".date_done": "NoneType: None", "date_done": "NoneType: None"}
    return expected


def known(reading: dict[str, Any], old: dict[str, str]) -> dict[str, Any]:
    """Return the parts of ``reading`` that 2.6.0 knows too."""
    return {name: reading.get(name) for name in old}


@pytest.mark.parametrize("mode", ["own", "json", "pickle"])
def test_every_task_reads_as_before(swapped: Swapped, mode: str) -> None:
    """This holds for rows of any serializer, whatever serializer the app uses now."""
    reading = swapped.site.script(f"{SCRIPTS}.read", mode)["tasks"]
    old = swapped.old_reading["tasks"]
    assert len(old) > 40
    expected = {task_id: expected_of(task) for task_id, task in old.items()}
    assert expected == {task_id: known(reading[task_id], old[task_id]) for task_id in old}


@pytest.mark.parametrize("mode", ["own", "json"])
def test_every_group_is_restored_as_before(swapped: Swapped, mode: str) -> None:
    """This includes groups inside groups."""
    reading = swapped.site.script(f"{SCRIPTS}.read", mode)["groups"]
    old = swapped.old_reading["groups"]
    assert len(old) == 8
    assert old == {group_id: reading[group_id] for group_id in old}


def test_the_migrated_tables_are_those_of_a_fresh_install(swapped: Swapped, tmp_path: Path) -> None:
    """They are equal column by column and index by index."""
    with empty_database("fresh", tmp_path) as database:
        fresh = Site(tmp_path, database)
        fresh.manage("migrate")
        expected = fresh.script(f"{SCRIPTS}.schema")
    assert expected == swapped.site.script(f"{SCRIPTS}.schema")


def test_the_squashed_migration_makes_the_tables_of_2_6(swapped: Swapped, tmp_path: Path) -> None:
    """Before the new migrations, a fresh install equals what 2.6.0's own migrations create."""
    with empty_database("fresh", tmp_path) as database:
        site = Site(tmp_path, database)
        site.manage("migrate", python=swapped.old_python)
        expected = site.script(f"{SCRIPTS}.schema", python=swapped.old_python)
    with empty_database("fresh", tmp_path) as database:
        site = Site(tmp_path, database)
        site.manage("migrate", "django_celery_results", "0001")
        assert expected == site.script(f"{SCRIPTS}.schema", python=swapped.old_python)


def test_the_swapped_site_needs_no_further_migration(swapped: Swapped) -> None:
    """The models, the migrations and the database agree."""
    swapped.site.manage("makemigrations", "--check", "--dry-run")
    swapped.site.manage("migrate", "--check")


def end_part(site: Site, *arguments: object, python: str | None = None) -> dict[str, Any]:
    """End a task of a chord's header; return the state of the chord afterwards."""
    words = [str(argument) for argument in arguments]
    seen: dict[str, Any] = site.script(f"{SCRIPTS}.chord_part", *words, python=python)
    return seen


def test_a_chord_begun_by_2_6_is_finished(swapped: Swapped) -> None:
    """The body is sent once, with every result, however often the last parts are delivered."""
    fourth = end_part(swapped.site, "json-chord", 3, "SUCCESS", 2)
    fifth = end_part(swapped.site, "json-chord", 4, "SUCCESS", 3)
    assert ([], 1) == (fourth["sent"], fourth["left"])
    assert (BODY_SENT, None) == (fifth["sent"], fifth["left"])


def test_a_chord_begun_by_2_6_fails_with_a_part(swapped: Swapped) -> None:
    """The body is not sent; it gets a failure that names the failed task."""
    end_part(swapped.site, "json-doomed", 3, "FAILURE", 1)
    seen = end_part(swapped.site, "json-doomed", 4, "SUCCESS", 1)
    state, error = seen["body"]
    assert ([], "FAILURE") == (seen["sent"], state)
    assert "ChordError" in error["exception"]
    assert "json-doomed-3" in error["args"]


def test_a_worker_of_2_6_may_finish_a_chord_after_one_of_this_release(swapped: Swapped) -> None:
    """While workers are being restarted, both releases count parts of the same chord."""
    end_part(swapped.site, "json-relay", 3, "SUCCESS", 1)
    seen = end_part(swapped.site, "json-relay", 4, "SUCCESS", 1, python=swapped.old_python)
    assert (BODY_SENT, None) == (seen["sent"], seen["left"])


def test_a_worker_of_2_6_can_still_store(swapped: Swapped) -> None:
    """The new columns do not prevent a worker that has not been restarted from storing."""
    stored = swapped.site.script(f"{SCRIPTS}.store", "old", python=swapped.old_python)
    assert {"old-failure": "utf-8", "old-value": "utf-8"} == stored
    reading = swapped.site.script(f"{SCRIPTS}.read", "own")
    assert "dict: {'sum': 3}" == reading["tasks"]["old-value"]["result"]
    assert ["old-group", None] == reading["groups"]["old-group"][0]


def test_every_chord_has_a_date(swapped: Swapped) -> None:
    """A chord without a date never expires; 2.6.0 starts some, before and after the migration."""
    swapped.site.script(f"{SCRIPTS}.store", "late", python=swapped.old_python)
    assert [] == swapped.site.script(f"{SCRIPTS}.undated")


def test_the_recorded_names_are_those_of_2_6(swapped: Swapped, tmp_path: Path) -> None:
    """With this list, tests/test_former.py looks for each name in this release."""
    site = Site(tmp_path, swapped.site.database, python=swapped.old_python)
    site.configure(ADMIN)
    recorded = Path(__file__).parent / "swap" / "names.json"
    assert json.loads(recorded.read_text(encoding="utf-8")) == site.script(f"{SCRIPTS}.names")


def test_2_6_can_read_what_this_release_stores(swapped: Swapped) -> None:
    """With the settings of a 2.6 site, rows are written as 2.6.0 writes them."""
    stored = swapped.site.script(f"{SCRIPTS}.store", "new")
    assert {"new-failure": "utf-8", "new-value": "utf-8"} == stored
    new = swapped.site.script(f"{SCRIPTS}.read", "own")
    old = swapped.site.script(f"{SCRIPTS}.read", "own", python=swapped.old_python)
    task = old["tasks"]["new-value"]
    assert expected_of(task) == known(new["tasks"]["new-value"], task)
    assert old["tasks"]["new-failure"]["result"] == new["tasks"]["new-failure"]["result"]
    assert old["groups"]["new-group"] == new["groups"]["new-group"]
