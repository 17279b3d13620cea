"""The plugin ``offload``: blobs go with their rows, whoever else writes at the same time."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult as CeleryGroup
from django.core.cache import caches
from django.core.files.storage import FileSystemStorage
from django.db import OperationalError, connections, transaction
from django.utils import timezone
from offload_disk import OPTIONS

from django_celery_results import hookimpl
from django_celery_results.exceptions import IdTooLong
from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.records import Retention

if TYPE_CHECKING:
    from collections.abc import Generator

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("on_disk")]

URLS = ["django-db", "django-cache"]

each_backend = pytest.mark.parametrize("url", URLS)


def blobs(folder: Path) -> int:
    """How many there are."""
    return sum(path.is_file() for path in folder.rglob("*"))


def large(letter: str) -> str:
    """A result that goes to a blob."""
    return letter * 5000


@each_backend
def test_forgotten_result_takes_its_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str
) -> None:
    """And no other's."""
    backend = make_backend(url)
    for task_id in ("t1", "t2"):
        backend.store_result(task_id, large("a"), "SUCCESS")
    backend.forget("t1")
    backend.forget("unknown")
    assert (1, large("a")) == (blobs(tmp_path), backend.get_result("t2"))


@each_backend
@pytest.mark.parametrize(("later", "left"), [(large("b"), 1), ("small", 0)])
def test_later_write_takes_the_blob_that_it_replaces(
    make_backend: MakeBackend, tmp_path: Path, url: str, later: str, left: int
) -> None:
    """Large or small."""
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "PROGRESS")
    backend.store_result("t1", later, "SUCCESS")
    assert (later, left) == (backend.get_result("t1"), blobs(tmp_path))


@each_backend
@pytest.mark.parametrize("late", [large("a"), large("b"), "small"])
def test_refused_write_leaves_nothing_and_takes_nothing(
    make_backend: MakeBackend, tmp_path: Path, url: str, late: str
) -> None:
    """SUCCESS is final, also for a late write of the same result."""
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "SUCCESS")
    backend.store_result("t1", late, "SUCCESS")
    assert (large("a"), 1) == (backend.get_result("t1"), blobs(tmp_path))


class Brief:
    """Keeps nothing."""

    @hookimpl
    def result_retention(self) -> Retention:
        """Say so."""
        return Retention(seconds=0)


@each_backend
def test_result_that_is_not_kept_leaves_no_blob(
    make_backend: MakeBackend, tmp_path: Path, configure: Configure, url: str
) -> None:
    """A cache does not take it; a row keeps its blob until it expires."""
    configure(PLUGINS=[Brief()], CODINGS=["offload"], offload=OPTIONS)
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "SUCCESS")
    assert TaskResult.objects.count() == blobs(tmp_path)
    backend.cleanup()
    assert 0 == blobs(tmp_path)


def test_expired_results_take_their_blobs(make_backend: MakeBackend, tmp_path: Path) -> None:
    """Once they are gone; groups have none."""
    backend = make_backend(result_expires=3600)
    for task_id, result in [("old", large("a")), ("new", large("a")), ("small", "a")]:
        backend.store_result(task_id, result, "SUCCESS")
    CeleryGroup("g1", [], app=backend.app).save(backend=backend)
    long_ago = timezone.now() - timedelta(days=1)
    TaskResult.objects.exclude(task_id="new").update(date_done=long_ago)
    GroupResult.objects.update(date_done=long_ago)
    backend.cleanup()
    assert (1, 0) == (blobs(tmp_path), GroupResult.objects.count())
    assert large("a") == backend.get_result("new")


@pytest.mark.parametrize("url", ["django-db", "django-cache://database"])
def test_undone_transaction_takes_no_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str
) -> None:
    """The row that is there again needs it, be it that of a cache."""
    caches["database"].clear()
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "PROGRESS")
    with transaction.atomic():
        backend.store_result("t1", "small", "PROGRESS")
        backend.forget("t1")
        transaction.set_rollback(True)
    assert (large("a"), 1) == (backend.get_result("t1"), blobs(tmp_path))


@pytest.mark.parametrize("undone", [True, False])
def test_expiry_within_a_transaction(
    make_backend: MakeBackend, tmp_path: Path, undone: bool
) -> None:
    """Takes the blobs when that is committed, and none when it is undone."""
    backend = make_backend(result_expires=3600)
    backend.store_result("t1", large("a"), "SUCCESS")
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=1))
    with transaction.atomic():
        backend.cleanup()
        assert (0, 1) == (TaskResult.objects.count(), blobs(tmp_path))
        transaction.set_rollback(undone)
    expected = (large("a"), 1) if undone else (None, 0)
    assert expected == (backend.get_result("t1"), blobs(tmp_path))


def test_transactions_that_are_ended_by_hand(make_backend: MakeBackend, tmp_path: Path) -> None:
    """Nobody tells when, so the blobs are left to the clean-up; nothing else is different."""
    backend = make_backend()
    transaction.set_autocommit(False)
    try:
        backend.store_result("t1", large("a"), "PROGRESS")
        backend.store_result("t1", "small", "SUCCESS")
        backend.forget("t1")
        backend.store_result("t1", large("b"), "SUCCESS")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert (large("b"), 2) == (backend.get_result("t1"), blobs(tmp_path))


@each_backend
def test_copy_of_a_row_takes_no_blob(make_backend: MakeBackend, tmp_path: Path, url: str) -> None:
    """That is the original's, as its name says; the same goes for any other file."""
    backend = make_backend(url)
    backend.store_result("original", large("a"), "SUCCESS")
    [stored] = backend.results.load(["original"])
    copy = replace(stored, task_id="copy", status="PROGRESS")
    backend.results.store(copy)
    assert large("a") == backend.get_result("copy")
    backend.store_result("copy", "small", "PROGRESS")
    backend.results.store(copy)
    backend.forget("copy")
    assert (large("a"), 1) == (backend.get_result("original"), blobs(tmp_path))


def test_expired_copy_of_a_row_takes_no_blob(make_backend: MakeBackend) -> None:
    """As above."""
    backend = make_backend(result_expires=3600)
    backend.store_result("original", large("a"), "SUCCESS")
    long_ago = timezone.now() - timedelta(days=1)
    row = TaskResult.objects.get()
    row.pk, row.task_id = None, "copy"
    row.save()
    TaskResult.objects.filter(task_id="copy").update(date_done=long_ago)
    backend.cleanup()
    assert ("original", large("a")) == (
        TaskResult.objects.get().task_id,
        backend.get_result("original"),
    )


def test_blob_that_cannot_be_deleted_is_logged(
    make_backend: MakeBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The result is forgotten all the same."""

    def broken(_self: Any, _name: str) -> None:
        raise OSError(5, "Input/output error")

    backend = make_backend()
    backend.store_result("t1", large("a"), "SUCCESS")
    monkeypatch.setattr(FileSystemStorage, "delete", broken)
    backend.forget("t1")
    assert (False, 1) == (TaskResult.objects.exists(), blobs(tmp_path))
    assert "was not deleted; 'celery_results offload --clean' will" in caplog.text


# -- Writes that are tried again -----------------------------------------------------


class Flaky:
    """Fails writes with errors that pass: before they are made, or after."""

    def __init__(self, *, after: bool = False, meanwhile: Any = None) -> None:
        self.left = 1
        self.after = after
        #: Called between the two tries.
        self.meanwhile = meanwhile or (lambda: None)

    # Within the plugin's own wrapper.
    @hookimpl(wrapper=True, trylast=True)
    def store_task(self) -> Generator[None, bool | None, bool | None]:
        """Fail once."""
        if self.left and not self.after:
            self.left -= 1
            raise OperationalError("connection lost")
        written = yield
        if self.left:
            self.left -= 1
            self.meanwhile()
            raise OperationalError("connection lost")
        return written

    @hookimpl(wrapper=True)
    def can_retry(self, error: Exception) -> Generator[None, bool | None, bool | None]:
        """Say that it passes."""
        answer = yield
        return answer or isinstance(error, OperationalError)


@pytest.mark.parametrize(("result", "left"), [(large("a"), 1), ("small", 0)])
@pytest.mark.parametrize("after", [False, True], ids=["not written", "written"])
def test_repeated_write_has_one_blob(
    configure: Configure,
    make_backend: MakeBackend,
    tmp_path: Path,
    after: bool,
    result: str,
    left: int,
) -> None:
    """Or none; whether its first try was made or not, which nobody knows."""
    configure(PLUGINS=[Flaky(after=after)], CODINGS=["offload"], offload=OPTIONS)
    backend = make_backend()
    backend.store_result("t1", result, "SUCCESS")
    assert (result, left) == (backend.get_result("t1"), blobs(tmp_path))


def test_row_that_goes_while_it_is_looked_at(
    configure: Configure, make_backend: MakeBackend, tmp_path: Path
) -> None:
    """Somebody else forgets it, and takes its blob."""

    class Vanishing:
        @hookimpl(wrapper=True)
        def load_tasks(self, contents: Any) -> Generator[None, Any, Any]:
            found = yield
            return found if contents == () else []

    make_backend().store_result("t1", large("a"), "SUCCESS")
    configure(PLUGINS=[Vanishing], CODINGS=["offload"], offload=OPTIONS)
    make_backend().forget("t1")
    assert (0, 1) == (TaskResult.objects.count(), blobs(tmp_path))


def test_repeated_write_whose_blob_is_gone_has_another(
    configure: Configure, make_backend: MakeBackend, tmp_path: Path
) -> None:
    """The first try was made after all, and another write has replaced it, blob and all."""
    another = make_backend()
    flaky = Flaky(after=True, meanwhile=lambda: another.store_result("t1", "later", "PROGRESS"))
    configure(PLUGINS=[flaky], CODINGS=["offload"], offload=OPTIONS)
    make_backend().store_result("t1", large("a"), "PROGRESS")
    assert (large("a"), 1) == (another.get_result("t1"), blobs(tmp_path))


def test_repeated_write_does_not_wait_for_the_storage(
    configure: Configure, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it has broken down meanwhile, the content stays in its row."""

    def broken(_self: Any, _name: str) -> bool:
        raise OSError(5, "Input/output error")

    def break_down() -> None:
        monkeypatch.setattr(FileSystemStorage, "exists", broken)

    flaky = Flaky(after=True, meanwhile=break_down)
    configure(PLUGINS=[flaky], CODINGS=["offload"], offload=OPTIONS)
    backend = make_backend()
    backend.store_result("t1", large("a"), "PROGRESS")
    assert large("a") == backend.get_result("t1")


@pytest.mark.parametrize(("task_id", "kind"), [("x" * 300, IdTooLong), ("", ValueError)])
def test_write_that_cannot_be_made_leaves_nothing(
    make_backend: MakeBackend, tmp_path: Path, task_id: str, kind: type[Exception]
) -> None:
    """The storage of the results refused it before it wrote anything."""
    with pytest.raises(kind):
        make_backend().store_result(task_id, large("a"), "SUCCESS")
    assert 0 == blobs(tmp_path)


def test_stored_result_is_not_undone_for_what_is_left_over(
    configure: Configure, make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """When the row cannot be read after the write, the blobs stay."""

    class Blind:
        reads = 0

        @hookimpl(wrapper=True)
        def load_tasks(self) -> Generator[None, Any, Any]:
            found = yield
            self.reads += 1
            if self.reads > 2:
                raise OperationalError("connection lost")
            return found

    make_backend().store_result("t1", large("a"), "PROGRESS")
    configure(PLUGINS=[Blind()], CODINGS=["offload"], offload=OPTIONS)
    make_backend().store_result("t1", "small", "SUCCESS")
    assert "SUCCESS" == TaskResult.objects.get().status
    assert "Blobs may be left over" in caplog.text


# -- At the same time ----------------------------------------------------------------


@each_backend
@pytest.mark.parametrize("same", [True, False])
def test_workers_that_write_one_task_leave_the_winners_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str, same: bool
) -> None:
    """A message that was delivered several times: the result can be read, and nothing else is."""
    start = threading.Barrier(4)

    def work(letter: str) -> None:
        try:
            backend = make_backend(url)
            start.wait()
            backend.store_result("t1", large("a" if same else letter), "SUCCESS")
        finally:
            connections.close_all()

    for _ in range(5):
        threads = [threading.Thread(target=work, args=[letter]) for letter in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        backend = make_backend(url)
        result = backend.get_result("t1")
        assert (5000, 1, 1) == (len(result), len(set(result)), blobs(tmp_path))
        backend.forget("t1")
