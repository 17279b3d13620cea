"""``celery_results offload --move``: contents that stayed in their rows during an outage."""

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
    """Let the command open this backend."""
    monkeypatch.setattr(
        "django_celery_results_offload.command.open_backend", lambda _database: backend
    )
    return backend


@pytest.fixture
def backend(make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database backend, which the command opens too."""
    return use(monkeypatch, make_backend())


@contextmanager
def outage() -> Iterator[None]:
    """Let every save to the storage fail."""

    def broken(_self: Any, _name: str, _content: Any) -> str:
        raise OSError(5, "Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSystemStorage, "_save", broken)
        yield


def stay(backend: Any, *ids: str) -> None:
    """Store results during an outage, so that they stay in their rows."""
    with outage():
        for task_id in ids:
            backend.store_result(task_id, LARGE, "SUCCESS")


def blobs(folder: Path) -> int:
    """Return the number of blobs."""
    return sum(path.is_file() for path in folder.rglob("*"))


def move() -> str:
    """Run the command and return its output."""
    out = StringIO()
    call_command("celery_results", "offload", "--move", stdout=out)
    return out.getvalue()


def test_contents_that_stayed_are_moved_once(backend: Any, tmp_path: Path) -> None:
    """Their dates do not change."""
    stay(backend, *map(str, range(12)))
    before = list(TaskResult.objects.order_by("pk").values_list("date_done"))
    assert "Moved contents of 12 results.\n" == move()
    assert "Moved contents of 0 results.\n" == move()
    assert before == list(TaskResult.objects.order_by("pk").values_list("date_done"))
    assert (LARGE, 12) == (backend.get_result("7"), blobs(tmp_path))
    assert max(len(row.result or "") for row in TaskResult.objects.all()) < 500


@pytest.mark.django_db(transaction=True)
def test_moved_result_is_deleted_with_its_blob(backend: Any, tmp_path: Path) -> None:
    """Like a result that was offloaded when it was stored."""
    stay(backend, "t1")
    move()
    backend.forget("t1")
    assert 0 == blobs(tmp_path)


def test_small_results_and_groups_stay(backend: Any, tmp_path: Path) -> None:
    """The same as when they are stored."""
    results = [backend.app.AsyncResult(f"task {number}") for number in range(200)]
    CeleryGroup("g1", results, app=backend.app).save(backend=backend)
    backend.store_result("t1", "small", "SUCCESS")
    backend.store_result("t2", LARGE, "SUCCESS")
    assert "Moved contents of 0 results.\n" == move()
    assert 1 == blobs(tmp_path)


def test_outage_during_a_move_is_reported(backend: Any, tmp_path: Path) -> None:
    """The contents stay in their rows."""
    stay(backend, "t1")
    with outage(), pytest.raises(CommandError, match="'disk' cannot be written to, so 1 results"):
        move()
    assert (LARGE, 0) == (backend.get_result("t1"), blobs(tmp_path))


def test_newer_write_is_never_overwritten(
    backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob that was written in vain is deleted."""
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
    """A cache cannot list its results."""
    use(monkeypatch, make_backend("django-cache"))
    with pytest.raises(CommandError, match="not to a Django database"):
        move()


def test_wrong_setting_is_reported(backend: Any, configure: Configure) -> None:
    """As a command error, without a traceback."""
    stay(backend, "t1")
    configure(CODINGS=["offload"], offload={**OPTIONS, "STORAGE": "s3"})
    with pytest.raises(CommandError, match=r"\['STORAGE'\] is 's3'"):
        move()
