"""The plugin ``archive``: what is written before it expires, and when it is kept instead."""

from __future__ import annotations

import errno
import gzip
import json
import resource
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult as CeleryGroup
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from pyarrow import parquet

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnavailable, StorageError
from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.records import ExpiryBatch
from django_celery_results_archive import files
from django_celery_results_archive.plugin import before_expire
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

DONE = datetime(2026, 11, 21, 23, 30, tzinfo=timezone.utc)
BACKENDS = "django.core.files.storage."


@pytest.fixture(autouse=True)
def _storages(settings: Settings, tmp_path: Path, configure: Configure) -> None:
    """One on the disk and one like an object store, which has no paths."""
    disk = {"BACKEND": f"{BACKENDS}FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    memory = {"BACKEND": f"{BACKENDS}InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "disk": disk, "memory": memory}
    configure(archive={"STORAGE": "disk"})


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A backend on the database whose results expire."""
    return make_backend(result_expires=3600, result_extended=True)


def put(backend: Any, value: Any = 5, task_id: str = "t1", state: str = "SUCCESS") -> None:
    """Store a result that has expired."""
    request = request_of(
        task_id, task="shop.pay", hostname="w1", argsrepr="(1,)", kwargsrepr="{}", retries=0
    )
    backend.store_result(
        task_id, value, state, "Traceback" if state == "FAILURE" else None, request
    )
    TaskResult.objects.filter(task_id=task_id).update(date_done=DONE, date_created=DONE)


def written(alias: str = "disk") -> dict[str, bytes]:
    """Each file of the archive, by its name."""
    found = {}
    for file in files.find():
        with storages[alias].open(file.name) as content:
            found[file.name] = content.read()
    return found


def lines() -> list[dict[str, Any]]:
    """The rows of all files."""
    return [json.loads(line) for file in written().values() for line in file.splitlines()]


# -- What is written -----------------------------------------------------------------


@pytest.mark.parametrize("alias", ["disk", "memory"])
def test_what_expires_is_in_a_file_of_its_day_and_task(
    backend: Any, configure: Configure, alias: str
) -> None:
    """And not in the database any more."""
    configure(archive={"STORAGE": alias})
    put(backend)
    backend.cleanup()
    ((name, content),) = written(alias).items()
    assert ("celery-results/2026-11-21/shop.pay", True) == (
        name.rpartition("/")[0],
        name.endswith("-1.jsonl"),
    )
    assert (5, False) == (json.loads(content)["result"], TaskResult.objects.exists())


def test_row_has_all_that_is_known_of_a_task(backend: Any) -> None:
    """Decoded, and how it was stored."""
    put(backend, {"total": 5})
    backend.cleanup()
    assert [
        {
            "task_id": "t1",
            "name": "shop.pay",
            "status": "SUCCESS",
            "worker": "w1",
            "periodic_task_name": None,
            "retries": None,
            "queue": None,
            "stamps": None,
            "group_id": None,
            "parent_id": None,
            "date_created": "2026-11-21T23:30:00+00:00",
            "date_started": None,
            "date_done": "2026-11-21T23:30:00+00:00",
            "result": {"total": 5},
            "args": "(1,)",
            "kwargs": "{}",
            "meta": {"children": []},
            "traceback": None,
            "content_type": "application/json",
            "content_encoding": "utf-8",
            "unreadable": None,
            "stored": None,
        }
    ] == lines()


def test_failure_keeps_its_traceback(backend: Any) -> None:
    """And what Celery keeps of an exception."""
    put(backend, ValueError("no"), state="FAILURE")
    backend.cleanup()
    (row,) = lines()
    assert ("Traceback", "ValueError") == (row["traceback"], row["result"]["exc_type"])


def test_groups_are_written_too(backend: Any) -> None:
    """With the ids of their tasks."""
    CeleryGroup("g1", [backend.app.AsyncResult("t1")], app=backend.app).save(backend=backend)
    GroupResult.objects.update(date_done=DONE)
    backend.cleanup()
    (name,) = written()
    assert name.startswith("celery-results/2026-11-21/_groups/")
    (row,) = lines()
    expected = ("g1", [["g1", None], [[["t1", None], None]]], False)
    assert expected == (row["group_id"], row["result"], GroupResult.objects.exists())


def test_one_batch_makes_a_file_for_each_day_and_task(backend: Any) -> None:
    """In UTC, whatever the zone of the site."""
    for task_id, name, days in [("1", "a", 0), ("2", "b", 0), ("3", "a", 1), ("4", "a", 0)]:
        put(backend, task_id=task_id)
        rows = TaskResult.objects.filter(task_id=task_id)
        rows.update(task_name=name, date_done=DONE - timedelta(days=days))
    backend.cleanup()
    found = [(*Path(file.name).parts[1:3], file.rows) for file in files.find()]
    assert [("2026-11-20", "a", 1), ("2026-11-21", "a", 2), ("2026-11-21", "b", 1)] == found


def test_dates_of_a_site_without_time_zones_are_in_utc(backend: Any, settings: Settings) -> None:
    """There the database has those of the site's own zone."""
    put(backend)
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    TaskResult.objects.update(date_done=datetime(2026, 11, 21, 8))  # noqa: DTZ001 - as such a site has it
    backend.cleanup()
    assert ["2026-11-20T23:00:00+00:00"] == [row["date_done"] for row in lines()]


def test_gzip(backend: Any, configure: Configure) -> None:
    """Is switched on by a setting, and counted under a name of its own."""
    configure(archive={"STORAGE": "disk", "GZIP": True})
    put(backend)
    backend.cleanup()
    ((name, content),) = written().items()
    assert name.endswith(".jsonl.gz")
    assert "t1" == json.loads(gzip.decompress(content))["task_id"]


def test_parquet_is_read_by_its_library(backend: Any, configure: Configure) -> None:
    """Dates as dates, and values of any kind as JSON."""
    configure(archive={"STORAGE": "disk", "FORMAT": "parquet", "GZIP": True})
    put(backend, {"a": [1, "ä"]}, "t1")
    put(backend, None, "t2")
    backend.cleanup()
    ((name, content),) = written().items()
    table = parquet.read_table(BytesIO(content))
    assert name.endswith("-2.parquet")
    assert [
        ("t1", DONE, '{"a": [1, "ä"]}', '"(1,)"', None),
        ("t2", DONE, None, '"(1,)"', None),
    ] == [
        (one["task_id"], one["date_done"], one["result"], one["args"], one["retries"])
        for one in table.to_pylist()
    ]


def test_columns_are_the_same_in_every_parquet_file(backend: Any, configure: Configure) -> None:
    """Also where they are empty, so that many files are read as one table."""
    configure(archive={"STORAGE": "disk", "FORMAT": "parquet"})
    put(backend, task_id="t1")
    TaskResult.objects.update(task_name=None, worker=None, date_created=DONE)
    put(backend, task_id="t2")
    backend.cleanup()
    one, other = (parquet.read_schema(BytesIO(content)) for content in written().values())
    assert one == other
    assert "timestamp[us, tz=UTC]" == str(one.field("date_started").type)


def test_groups_fit_into_parquet(backend: Any, configure: Configure) -> None:
    """In columns of their own."""
    configure(archive={"STORAGE": "disk", "FORMAT": "parquet"})
    CeleryGroup("g1", [], app=backend.app).save(backend=backend)
    GroupResult.objects.update(date_done=DONE)
    backend.cleanup()
    (content,) = written().values()
    assert ['[["g1", null], []]'] == parquet.read_table(BytesIO(content))["result"].to_pylist()


# -- What cannot be read -------------------------------------------------------------


def test_what_cannot_be_read_is_written_as_it_is_stored(backend: Any) -> None:
    """With the reason, and all that is needed to read it elsewhere."""
    put(backend)
    TaskResult.objects.update(result="{no json", content_encoding="utf-8")
    backend.cleanup()
    (row,) = lines()
    assert (None, "{no json", '"(1,)"') == (
        row["result"],
        row["stored"]["result"],
        row["stored"]["args"],
    )
    assert "result is corrupt" in row["unreadable"]
    assert not TaskResult.objects.exists()


def test_group_that_cannot_be_read_is_written_as_it_is_stored(backend: Any) -> None:
    """As a task is."""
    CeleryGroup("g1", [], app=backend.app).save(backend=backend)
    GroupResult.objects.update(date_done=DONE, content_encoding="utf-8, lost")
    backend.cleanup()
    (row,) = lines()
    assert ("utf-8, lost", True) == (
        row["content_encoding"],
        "content coding 'lost' is not installed" in row["unreadable"],
    )


def test_what_can_be_read_later_is_kept(backend: Any, configure: Configure) -> None:
    """An archive of pointers to what will soon be deleted is worth nothing."""

    class Away:
        @hookimpl
        def decode(self) -> None:
            raise ResultUnavailable("the other storage is away")

    put(backend)
    configure(PLUGINS=[Away()], archive={"STORAGE": "disk"})
    type(backend)(backend.app, url="django-db", expires=3600).cleanup()
    assert ({}, True) == (written(), TaskResult.objects.exists())


# -- Trouble -------------------------------------------------------------------------


def test_batch_that_cannot_be_written_is_kept(
    backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file has half of it under a name that readers look for; the next cleanup writes it."""
    put(backend)
    with monkeypatch.context() as patch:
        full: Any = FileSystemStorage
        patch.setattr(full, "_save", _failing(full._save))
        backend.cleanup()
    assert (True, [], []) == (
        TaskResult.objects.exists(),
        list(files.find()),
        list(tmp_path.rglob("*.jsonl")),
    )
    backend.cleanup()
    assert (False, ["t1"]) == (TaskResult.objects.exists(), [row["task_id"] for row in lines()])


def test_disk_that_is_full_is_not_filled_further(tmp_path: Path) -> None:
    """What was written of a file goes: each cleanup would add another piece."""
    row = {"name": "shop.pay", "date_done": DONE, "result": "x" * 10_000}
    _, most = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.save([row])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def _failing(save: Any) -> Any:
    def fail(self: Any, name: str, content: Any) -> str:
        save(self, name, ContentFile(content.read()[:10]))
        raise OSError(errno.ENOSPC, "No space left on device")

    return fail


@pytest.mark.parametrize("alias", ["disk", "memory"])
def test_batch_that_was_written_already_makes_no_second_file(
    backend: Any, configure: Configure, alias: str
) -> None:
    """A cleaner that dies, or another plugin that fails, after the file was written."""

    class AfterTheArchive:
        fails = True

        @hookimpl(trylast=True)
        def before_expire(self) -> None:
            if self.fails:
                raise ValueError("after the archive")

    other = AfterTheArchive()
    configure(PLUGINS=[other], archive={"STORAGE": alias})
    backend = type(backend)(backend.app, url="django-db", expires=3600)
    put(backend)
    backend.cleanup()
    first = written(alias)
    other.fails = False
    backend.cleanup()
    assert (1, first, False) == (len(first), written(alias), TaskResult.objects.exists())


def test_half_a_file_is_written_anew(backend: Any, tmp_path: Path) -> None:
    """Left by a storage that writes under the final name, whose writer died."""
    put(backend)
    backend.cleanup()
    ((name, whole),) = written().items()
    (tmp_path / name).write_bytes(whole[:20])
    put(backend)
    backend.cleanup()
    assert {name: whole} == written()


def test_storage_that_shows_no_records_lets_nothing_go() -> None:
    """What is not seen cannot be archived."""
    batch = ExpiryBatch(storage="some", kind="task", ids=["t1"], read=lambda stored: stored)
    with pytest.raises(StorageError, match="storage 'some' does not show what is about to expire"):
        before_expire(batch)


def test_without_a_storage_nothing_goes(
    backend: Any, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which setting is missing."""
    configure()
    put(backend)
    backend.cleanup()
    assert TaskResult.objects.exists()
    assert "['archive']['STORAGE'] is not set" in caplog.text


def test_disabled_it_writes_nothing(backend: Any, configure: Configure) -> None:
    """Results expire as they would without it."""
    put(backend)
    configure("zstd", archive={"STORAGE": "disk"})
    type(backend)(backend.app, url="django-db", expires=3600).cleanup()
    assert ([], False) == (list(files.find()), TaskResult.objects.exists())
