"""The plugin ``archive``: writing results before they expire, or keeping them instead."""

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
    """Sets up a storage on disk, and one without paths, like an object store."""
    disk = {"BACKEND": f"{BACKENDS}FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    memory = {"BACKEND": f"{BACKENDS}InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "disk": disk, "memory": memory}
    configure(archive={"STORAGE": "disk"})


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A database backend whose results expire."""
    return make_backend(result_expires=3600, result_extended=True)


def put(backend: Any, value: Any = 5, task_id: str = "t1", state: str = "SUCCESS") -> None:
    """Store a result, and date it so that it has expired."""
    request = request_of(
        task_id, task="shop.pay", hostname="w1", argsrepr="(1,)", kwargsrepr="{}", retries=0
    )
    backend.store_result(
        task_id, value, state, "Traceback" if state == "FAILURE" else None, request
    )
    TaskResult.objects.filter(task_id=task_id).update(date_done=DONE, date_created=DONE)


def written(alias: str = "disk") -> dict[str, bytes]:
    """Return each file of the archive by its name."""
    found = {}
    for file in files.find():
        with storages[alias].open(file.name) as content:
            found[file.name] = content.read()
    return found


def lines() -> list[dict[str, Any]]:
    """Return the rows of all files."""
    return [json.loads(line) for file in written().values() for line in file.splitlines()]


# -- What is written -----------------------------------------------------------------


@pytest.mark.parametrize("alias", ["disk", "memory"])
def test_expired_result_is_in_the_file_of_its_day_and_task(
    backend: Any, configure: Configure, alias: str
) -> None:
    """The database no longer has it."""
    configure(archive={"STORAGE": alias})
    put(backend)
    backend.cleanup()
    ((name, content),) = written(alias).items()
    assert ("celery-results/2026-11-21/shop.pay", True) == (
        name.rpartition("/")[0],
        name.endswith("-1.jsonl"),
    )
    assert (5, False) == (json.loads(content)["result"], TaskResult.objects.exists())


def test_row_has_every_field_of_a_task(backend: Any) -> None:
    """Decoded, with the encoding in which it was stored."""
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
    """It also keeps the parts of the exception that Celery keeps."""
    put(backend, ValueError("no"), state="FAILURE")
    backend.cleanup()
    (row,) = lines()
    assert ("Traceback", "ValueError") == (row["traceback"], row["result"]["exc_type"])


def test_groups_are_archived(backend: Any) -> None:
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
    """The day is in UTC, whatever the site's time zone."""
    for task_id, name, days in [("1", "a", 0), ("2", "b", 0), ("3", "a", 1), ("4", "a", 0)]:
        put(backend, task_id=task_id)
        rows = TaskResult.objects.filter(task_id=task_id)
        rows.update(task_name=name, date_done=DONE - timedelta(days=days))
    backend.cleanup()
    found = [(*Path(file.name).parts[1:3], file.rows) for file in files.find()]
    assert [("2026-11-20", "a", 1), ("2026-11-21", "a", 2), ("2026-11-21", "b", 1)] == found


def test_dates_of_a_site_without_time_zones_are_in_utc(backend: Any, settings: Settings) -> None:
    """The database of such a site holds dates in the site's own time zone."""
    put(backend)
    settings.USE_TZ, settings.TIME_ZONE = False, "Asia/Tokyo"
    TaskResult.objects.update(date_done=datetime(2026, 11, 21, 8))  # noqa: DTZ001 - naive, as in such a site
    backend.cleanup()
    assert ["2026-11-20T23:00:00+00:00"] == [row["date_done"] for row in lines()]


def test_gzip_setting_compresses_files(backend: Any, configure: Configure) -> None:
    """Their names have a separate suffix."""
    configure(archive={"STORAGE": "disk", "GZIP": True})
    put(backend)
    backend.cleanup()
    ((name, content),) = written().items()
    assert name.endswith(".jsonl.gz")
    assert "t1" == json.loads(gzip.decompress(content))["task_id"]


def test_parquet_is_read_by_its_library(backend: Any, configure: Configure) -> None:
    """Dates are dates; values of variable type are JSON."""
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
    """Even if they are empty, so that many files can be read as one table."""
    configure(archive={"STORAGE": "disk", "FORMAT": "parquet"})
    put(backend, task_id="t1")
    TaskResult.objects.update(task_name=None, worker=None, date_created=DONE)
    put(backend, task_id="t2")
    backend.cleanup()
    one, other = (parquet.read_schema(BytesIO(content)) for content in written().values())
    assert one == other
    assert "timestamp[us, tz=UTC]" == str(one.field("date_started").type)


def test_groups_are_archived_in_parquet(backend: Any, configure: Configure) -> None:
    """Their files have other columns than those of tasks."""
    configure(archive={"STORAGE": "disk", "FORMAT": "parquet"})
    CeleryGroup("g1", [], app=backend.app).save(backend=backend)
    GroupResult.objects.update(date_done=DONE)
    backend.cleanup()
    (content,) = written().values()
    assert ['[["g1", null], []]'] == parquet.read_table(BytesIO(content))["result"].to_pylist()


# -- Unreadable results --------------------------------------------------------------


def test_unreadable_result_is_written_as_it_is_stored(backend: Any) -> None:
    """With the reason, and all fields needed to read it elsewhere."""
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


def test_unreadable_group_is_written_as_it_is_stored(backend: Any) -> None:
    """The same as a task."""
    CeleryGroup("g1", [], app=backend.app).save(backend=backend)
    GroupResult.objects.update(date_done=DONE, content_encoding="utf-8, lost")
    backend.cleanup()
    (row,) = lines()
    assert ("utf-8, lost", True) == (
        row["content_encoding"],
        "content coding 'lost' is not installed" in row["unreadable"],
    )


def test_result_that_may_become_readable_is_kept(backend: Any, configure: Configure) -> None:
    """An archive of pointers to blobs that are deleted next would be useless."""

    class Away:
        @hookimpl
        def decode(self) -> None:
            raise ResultUnavailable("the other storage is away")

    put(backend)
    configure(PLUGINS=[Away()], archive={"STORAGE": "disk"})
    type(backend)(backend.app, url="django-db", expires=3600).cleanup()
    assert ({}, True) == (written(), TaskResult.objects.exists())


# -- Errors --------------------------------------------------------------------------


def test_batch_that_cannot_be_written_is_kept(
    backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No incomplete file has a name that readers look for; the next cleanup writes the batch."""
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


def test_full_disk_is_not_filled_further(tmp_path: Path) -> None:
    """A part of a file is deleted; otherwise each cleanup would add another."""
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
def test_batch_that_is_already_written_makes_no_second_file(
    backend: Any, configure: Configure, alias: str
) -> None:
    """After the file was written, the process may die or another plugin may fail."""

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


def test_incomplete_file_is_written_again(backend: Any, tmp_path: Path) -> None:
    """A storage that writes under the final name may leave one if its process dies."""
    put(backend)
    backend.cleanup()
    ((name, whole),) = written().items()
    (tmp_path / name).write_bytes(whole[:20])
    put(backend)
    backend.cleanup()
    assert {name: whole} == written()


def test_storage_that_provides_no_records_keeps_them_all() -> None:
    """The plugin cannot archive records that it does not see."""
    batch = ExpiryBatch(storage="some", kind="task", ids=["t1"], read=lambda stored: stored)
    with pytest.raises(StorageError, match="storage 'some' does not provide the records"):
        before_expire(batch)


def test_results_are_kept_if_no_storage_is_set(
    backend: Any, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the missing setting."""
    configure()
    put(backend)
    backend.cleanup()
    assert TaskResult.objects.exists()
    assert "['archive']['STORAGE'] is not set" in caplog.text


def test_disabled_plugin_writes_nothing(backend: Any, configure: Configure) -> None:
    """Results expire as without the plugin."""
    put(backend)
    configure("zstd", archive={"STORAGE": "disk"})
    type(backend)(backend.app, url="django-db", expires=3600).cleanup()
    assert ([], False) == (list(files.find()), TaskResult.objects.exists())
