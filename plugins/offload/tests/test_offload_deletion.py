"""The plugin ``offload``: blobs are deleted with their rows, even under concurrent writes."""

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
    """Return the number of blobs."""
    return sum(path.is_file() for path in folder.rglob("*"))


def large(letter: str) -> str:
    """Return a result large enough for a blob."""
    return letter * 5000


@each_backend
def test_forgotten_result_loses_its_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str
) -> None:
    """Other results keep theirs."""
    backend = make_backend(url)
    for task_id in ("t1", "t2"):
        backend.store_result(task_id, large("a"), "SUCCESS")
    backend.forget("t1")
    backend.forget("unknown")
    assert (1, large("a")) == (blobs(tmp_path), backend.get_result("t2"))


@each_backend
@pytest.mark.parametrize(("later", "left"), [(large("b"), 1), ("small", 0)])
def test_later_write_deletes_the_blob_that_it_replaces(
    make_backend: MakeBackend, tmp_path: Path, url: str, later: str, left: int
) -> None:
    """Whether the later result is large or small."""
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "PROGRESS")
    backend.store_result("t1", later, "SUCCESS")
    assert (later, left) == (backend.get_result("t1"), blobs(tmp_path))


@each_backend
@pytest.mark.parametrize("late", [large("a"), large("b"), "small"])
def test_refused_write_adds_and_deletes_no_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str, late: str
) -> None:
    """SUCCESS is final, even against a late write of the same result."""
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "SUCCESS")
    backend.store_result("t1", late, "SUCCESS")
    assert (large("a"), 1) == (backend.get_result("t1"), blobs(tmp_path))


class Brief:
    """A plugin that keeps no result."""

    @hookimpl
    def result_retention(self) -> Retention:
        """Return a retention of 0 seconds."""
        return Retention(seconds=0)


@each_backend
def test_result_that_is_not_kept_leaves_no_blob(
    make_backend: MakeBackend, tmp_path: Path, configure: Configure, url: str
) -> None:
    """A cache does not store it; in a database the row keeps its blob until it expires."""
    configure(PLUGINS=[Brief()], CODINGS=["offload"], offload=OPTIONS)
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "SUCCESS")
    assert TaskResult.objects.count() == blobs(tmp_path)
    backend.cleanup()
    assert 0 == blobs(tmp_path)


def test_expired_results_lose_their_blobs(make_backend: MakeBackend, tmp_path: Path) -> None:
    """After their rows are deleted; groups never have blobs."""
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
def test_rolled_back_transaction_deletes_no_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str
) -> None:
    """The restored row needs it, whether in the results table or in a database cache."""
    caches["database"].clear()
    backend = make_backend(url)
    backend.store_result("t1", large("a"), "PROGRESS")
    with transaction.atomic():
        backend.store_result("t1", "small", "PROGRESS")
        backend.forget("t1")
        transaction.set_rollback(True)
    assert (large("a"), 1) == (backend.get_result("t1"), blobs(tmp_path))


@pytest.mark.parametrize("undone", [True, False])
def test_expiry_in_a_transaction_deletes_blobs_on_commit(
    make_backend: MakeBackend, tmp_path: Path, undone: bool
) -> None:
    """If it is rolled back, the blobs stay."""
    backend = make_backend(result_expires=3600)
    backend.store_result("t1", large("a"), "SUCCESS")
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=1))
    with transaction.atomic():
        backend.cleanup()
        assert (0, 1) == (TaskResult.objects.count(), blobs(tmp_path))
        transaction.set_rollback(undone)
    expected = (large("a"), 1) if undone else (None, 0)
    assert expected == (backend.get_result("t1"), blobs(tmp_path))


def test_manual_transactions_leave_blobs_for_the_clean_up(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    """Django does not report their commit; everything else works as usual."""
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
def test_copy_of_a_row_deletes_no_blob(make_backend: MakeBackend, tmp_path: Path, url: str) -> None:
    """The blob's name says that it belongs to the original; this also protects other files."""
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


def test_expired_copy_of_a_row_deletes_no_blob(make_backend: MakeBackend) -> None:
    """As above, when the copy expires."""
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
    """The result is forgotten nevertheless."""

    def broken(_self: Any, _name: str) -> None:
        raise OSError(5, "Input/output error")

    backend = make_backend()
    backend.store_result("t1", large("a"), "SUCCESS")
    monkeypatch.setattr(FileSystemStorage, "delete", broken)
    backend.forget("t1")
    assert (False, 1) == (TaskResult.objects.exists(), blobs(tmp_path))
    assert "was not deleted; run 'celery_results offload --clean'" in caplog.text


# -- Retried writes ------------------------------------------------------------------


class Flaky:
    """Fails the first write with a temporary error, before or after the row is written."""

    def __init__(self, *, after: bool = False, meanwhile: Any = None) -> None:
        self.left = 1
        self.after = after
        #: Called between the two tries.
        self.meanwhile = meanwhile or (lambda: None)

    # Called inside the plugin's own wrapper.
    @hookimpl(wrapper=True, trylast=True)
    def store_task(self) -> Generator[None, bool | None, bool | None]:
        """Fail the first call."""
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
        """Allow a retry of database errors."""
        answer = yield
        return answer or isinstance(error, OperationalError)


@pytest.mark.parametrize(("result", "left"), [(large("a"), 1), ("small", 0)])
@pytest.mark.parametrize("after", [False, True], ids=["not written", "written"])
def test_retried_write_has_one_blob(
    configure: Configure,
    make_backend: MakeBackend,
    tmp_path: Path,
    after: bool,
    result: str,
    left: int,
) -> None:
    """Or none, if it is small; the retry cannot know whether the first try was written."""
    configure(PLUGINS=[Flaky(after=after)], CODINGS=["offload"], offload=OPTIONS)
    backend = make_backend()
    backend.store_result("t1", result, "SUCCESS")
    assert (result, left) == (backend.get_result("t1"), blobs(tmp_path))


def test_row_that_disappears_while_it_is_read_is_no_error(
    configure: Configure, make_backend: MakeBackend, tmp_path: Path
) -> None:
    """Another process forgets it and deletes its blob."""

    class Vanishing:
        @hookimpl(wrapper=True)
        def load_tasks(self, contents: Any) -> Generator[None, Any, Any]:
            found = yield
            return found if contents == () else []

    make_backend().store_result("t1", large("a"), "SUCCESS")
    configure(PLUGINS=[Vanishing], CODINGS=["offload"], offload=OPTIONS)
    make_backend().forget("t1")
    assert (0, 1) == (TaskResult.objects.count(), blobs(tmp_path))


def test_retried_write_gets_a_new_blob_if_the_first_is_gone(
    configure: Configure, make_backend: MakeBackend, tmp_path: Path
) -> None:
    """The first try was written, and another write replaced it and its blob."""
    another = make_backend()
    flaky = Flaky(after=True, meanwhile=lambda: another.store_result("t1", "later", "PROGRESS"))
    configure(PLUGINS=[flaky], CODINGS=["offload"], offload=OPTIONS)
    make_backend().store_result("t1", large("a"), "PROGRESS")
    assert (large("a"), 1) == (another.get_result("t1"), blobs(tmp_path))


def test_retried_write_does_not_wait_for_the_storage(
    configure: Configure, make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the storage has failed meanwhile, the content stays in its row."""

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
def test_rejected_write_leaves_no_blob(
    make_backend: MakeBackend, tmp_path: Path, task_id: str, kind: type[Exception]
) -> None:
    """The results' storage rejected it before writing."""
    with pytest.raises(kind):
        make_backend().store_result(task_id, large("a"), "SUCCESS")
    assert 0 == blobs(tmp_path)


def test_stored_result_is_kept_if_the_clean_up_fails(
    configure: Configure, make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """If the row cannot be read after the write, the blobs stay."""

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


# -- Concurrent writes ---------------------------------------------------------------


@each_backend
@pytest.mark.parametrize("same", [True, False])
def test_concurrent_writes_of_a_task_leave_only_the_winners_blob(
    make_backend: MakeBackend, tmp_path: Path, url: str, same: bool
) -> None:
    """A message may be delivered several times; the result must be readable."""
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
