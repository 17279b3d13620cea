"""``celery_results offload --move``: what stayed in its row while the storage was away."""

from __future__ import annotations

from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult as CeleryGroup
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from offload_disk import OPTIONS

from django_celery_results.models import TaskResult
from django_celery_results.storages.database import DatabaseContents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_disk")]

LARGE = "x" * 5000


def use(monkeypatch: pytest.MonkeyPatch, backend: Any) -> Any:
    """Let the command work on that backend."""
    monkeypatch.setattr(
        "django_celery_results_offload.command.open_backend", lambda _database: backend
    )
    return backend


@pytest.fixture
def backend(make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch) -> Any:
    """That on the database."""
    return use(monkeypatch, make_backend())


@contextmanager
def outage() -> Iterator[None]:
    """Let nothing be saved."""

    def broken(_self: Any, _name: str, _content: Any) -> str:
        raise OSError(5, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSystemStorage, "_save", broken)
        yield


def stay(backend: Any, *ids: str) -> None:
    """Store results that have to stay in their rows."""
    with outage():
        for task_id in ids:
            backend.store_result(task_id, LARGE, "SUCCESS")


def blobs(folder: Path) -> int:
    """How many there are."""
    return sum(path.is_file() for path in folder.rglob("*"))


def move() -> str:
    """Run the command; return what it printed."""
    out = StringIO()
    call_command("celery_results", "offload", "--move", stdout=out)
    return out.getvalue()


def test_what_stayed_is_moved(backend: Any, tmp_path: Path) -> None:
    """Once; it is as old as it was."""
    stay(backend, *map(str, range(12)))
    before = list(TaskResult.objects.order_by("pk").values_list("date_done"))
    assert "Moved contents of 12 results.\n" == move()
    assert "Moved contents of 0 results.\n" == move()
    assert before == list(TaskResult.objects.order_by("pk").values_list("date_done"))
    assert (LARGE, 12) == (backend.get_result("7"), blobs(tmp_path))
    assert max(len(row.result or "") for row in TaskResult.objects.all()) < 500


@pytest.mark.django_db(transaction=True)
def test_moved_result_takes_its_blob(backend: Any, tmp_path: Path) -> None:
    """As one that never stayed."""
    stay(backend, "t1")
    move()
    backend.forget("t1")
    assert 0 == blobs(tmp_path)


def test_small_results_and_groups_stay(backend: Any, tmp_path: Path) -> None:
    """As they do when they are stored."""
    results = [backend.app.AsyncResult(f"task {number}") for number in range(200)]
    CeleryGroup("g1", results, app=backend.app).save(backend=backend)
    backend.store_result("t1", "small", "SUCCESS")
    backend.store_result("t2", LARGE, "SUCCESS")
    assert "Moved contents of 0 results.\n" == move()
    assert 1 == blobs(tmp_path)


def test_storage_that_is_still_away(backend: Any, tmp_path: Path) -> None:
    """The command says so, and nothing is lost."""
    stay(backend, "t1")
    with outage(), pytest.raises(CommandError, match="'disk' fails: 1 results stay in their rows"):
        move()
    assert (LARGE, 0) == (backend.get_result("t1"), blobs(tmp_path))


def test_newer_write_is_never_overwritten(
    backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved in vain is deleted."""
    with outage():
        backend.store_result("t1", LARGE, "PROGRESS")
    replace = DatabaseContents.replace

    def acting(contents: Any, changes: Any) -> int:
        backend.store_result("t1", "newer", "SUCCESS")
        return replace(contents, changes)

    monkeypatch.setattr(DatabaseContents, "replace", acting)
    assert "Moved contents of 0 results.\n" == move()
    assert ("newer", 0) == (backend.get_result("t1"), blobs(tmp_path))


def test_results_in_a_cache_are_refused(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can list them."""
    use(monkeypatch, make_backend("django-cache"))
    with pytest.raises(CommandError, match="which is no database"):
        move()


def test_wrong_setting_is_said(backend: Any, configure: Configure) -> None:
    """As an error of the command, without a traceback."""
    stay(backend, "t1")
    configure(CODINGS=["offload"], offload={**OPTIONS, "STORAGE": "s3"})
    with pytest.raises(CommandError, match=r"\['STORAGE'\] is 's3'"):
        move()
