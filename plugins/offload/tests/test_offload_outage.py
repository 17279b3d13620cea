"""The plugin ``offload`` while its storage is away: no result is lost for it."""

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
    """A backend on the database."""
    return make_backend()


def files(folder: Path) -> list[Path]:
    """The blobs."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def fail(monkeypatch: pytest.MonkeyPatch, method: str, kind: Any = FileSystemStorage) -> None:
    """Let the disk, or another kind of storage, break down."""

    def broken(_self: Any, *arguments: Any, **keywords: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(kind, method, broken)


def test_content_stays_in_its_row_when_the_storage_is_away(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No result is lost for it, and it is said once."""
    with monkeypatch.context() as patch:
        fail(patch, "_save")
        fail(patch, "_open")
        for task_id in ("t1", "t2"):
            backend.store_result(task_id, LARGE, "SUCCESS")
        assert LARGE == backend.get_result("t2")
    logged = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    expected = (
        "The storage 'disk' fails, and contents stay in their rows (0 more since this was last "
        "logged): OSError: [Errno 5] Input/output error"
    )
    assert [expected] == logged


def test_full_disk_keeps_no_part_of_a_blob(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Or it would be fuller with each result."""
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
def test_all_folders_of_a_blob_are_on_the_disk(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, task_id: str
) -> None:
    """Before the row is: else a power failure could take what the row points to."""
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    backend.store_result(task_id, LARGE, "SUCCESS")
    (blob,) = files(tmp_path)
    inside = len(blob.relative_to(tmp_path).parts)
    assert {one.stat().st_ino for one in (blob, *blob.parents[:inside])} <= synced


def test_outage_of_another_storage(
    backend: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked to delete what it did not take: that, too, would have to time out."""
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "disk": memory}
    fail(monkeypatch, "_save", InMemoryStorage)
    deleted: list[str] = []
    monkeypatch.setattr(InMemoryStorage, "delete", lambda _self, name: deleted.append(name))
    backend.store_result("t1", LARGE, "SUCCESS")
    assert (LARGE, []) == (backend.get_result("t1"), deleted)


def test_outage_is_logged_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """With how many results it was since."""
    long = Outage()
    for _ in range(3):
        long.log("disk", OSError("away"))
    long.silent_until = 0
    long.log("disk", OSError("away"))
    assert ["0", "2"] == [one.getMessage().split("(")[1][0] for one in caplog.records]


def test_storage_that_changes_names_is_not_used(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its blobs could not be told from those that nobody needs."""
    storage: Any = FileSystemStorage
    save = storage._save
    monkeypatch.setattr(storage, "_save", lambda self, _name, content: save(self, "x", content))
    backend.store_result("t1", LARGE, "SUCCESS")
    assert (LARGE, []) == (backend.get_result("t1"), files(tmp_path))
    assert "gave the blob a name of its own: 'x'" in caplog.text
