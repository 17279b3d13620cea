"""The plugin ``offload`` while its storage fails: no result is lost."""

from __future__ import annotations

import logging
import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.storage import FileSystemStorage, InMemoryStorage

from django_celery_results_offload.outage import Outage

if TYPE_CHECKING:
    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_disk")]

LARGE = "x" * 5000


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A database backend."""
    return make_backend()


def files(folder: Path) -> list[Path]:
    """Return the paths of the blobs."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def fail(monkeypatch: pytest.MonkeyPatch, method: str, kind: Any = FileSystemStorage) -> None:
    """Let a method of the disk, or of another kind of storage, fail."""

    def broken(_self: Any, *arguments: Any, **keywords: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(kind, method, broken)


def test_content_stays_in_its_row_while_the_storage_fails(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The result is readable, and the outage is logged once."""
    with monkeypatch.context() as patch:
        fail(patch, "_save")
        fail(patch, "_open")
        for task_id in ("t1", "t2"):
            backend.store_result(task_id, LARGE, "SUCCESS")
        assert LARGE == backend.get_result("t2")
    logged = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    expected = (
        "The storage 'disk' cannot be written to, so contents stay in their rows (0 more since "
        "this was last logged); run 'celery_results offload --move' once it can: "
        "OSError: [Errno 5] Input/output error"
    )
    assert [expected] == logged


def test_full_disk_keeps_no_part_of_a_blob(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Parts would fill the disk further with each result."""
    storage: Any = FileSystemStorage
    save = storage._save

    def limited(self: Any, name: str, content: Any) -> str:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            saved: str = save(self, name, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return saved

    monkeypatch.setattr(storage, "_save", limited)
    backend.store_result("t1", LARGE, "SUCCESS")
    assert (LARGE, []) == (backend.get_result("t1"), files(tmp_path))


@pytest.mark.parametrize("task_id", ["t1", "x" * 250])
def test_all_folders_of_a_blob_are_flushed_to_the_disk(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task_id: str
) -> None:
    """Before the row is written: a power failure must not lose the blob of a stored row."""
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    backend.store_result(task_id, LARGE, "SUCCESS")
    (blob,) = files(tmp_path)
    inside = len(blob.relative_to(tmp_path).parts)
    assert {one.stat().st_ino for one in (blob, *blob.parents[:inside])} <= synced


def test_failed_save_to_another_storage_deletes_nothing(
    backend: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delete after a failed save would have to time out, too."""
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "disk": memory}
    fail(monkeypatch, "_save", InMemoryStorage)
    deleted: list[str] = []
    monkeypatch.setattr(InMemoryStorage, "delete", lambda _self, name: deleted.append(name))
    backend.store_result("t1", LARGE, "SUCCESS")
    assert (LARGE, []) == (backend.get_result("t1"), deleted)


def test_outage_is_logged_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """With the number of results since the last message."""
    long = Outage()
    for _ in range(3):
        long.log("disk", OSError("away"))
    long.silent_until = 0
    long.log("disk", OSError("away"))
    assert ["0", "2"] == [one.getMessage().split("(")[1][0] for one in caplog.records]


def test_storage_that_changes_names_is_not_used(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The clean-up could not tell its blobs from unused ones."""
    storage: Any = FileSystemStorage
    save = storage._save
    monkeypatch.setattr(storage, "_save", lambda self, _name, content: save(self, "x", content))
    backend.store_result("t1", LARGE, "SUCCESS")
    assert (LARGE, []) == (backend.get_result("t1"), files(tmp_path))
    assert "under another name, 'x'" in caplog.text
