"""Codings in the order of the settings, and rotating the key of encrypted blobs."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from cryptography.fernet import Fernet
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.utils import timezone
from together_site import KEY, ROOT, blobs
from together_tasks import written

from django_celery_results.models import TaskResult
from django_celery_results_fernet.keyring import Keyring, fingerprint, fingerprint_of
from django_celery_results_offload.outage import outage
from django_celery_results_offload.pointers import pointers_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("use")]

LARGE = {"text": written(1, "", "")["text"]}
NEW = Fernet.generate_key().decode()


@pytest.fixture
def site(make_backend: MakeBackend) -> Iterator[Callable[[], Any]]:
    """Returns a function that makes the site's backend, in the current app."""
    from celery._state import get_current_app

    before: Any = get_current_app()

    def make() -> Any:
        accepted = ["json", "msgspec-json"]
        backend = make_backend(
            "django-db", result_serializer="msgspec-json", result_accept_content=accepted
        )
        backend.app.set_current()
        return backend

    yield make
    before.set_current()


def command(*arguments: str) -> str:
    """Run an action of ``celery_results`` and return its output."""
    out = StringIO()
    call_command("celery_results", *arguments, stdout=out, no_color=True)
    return out.getvalue()


# -- The order -----------------------------------------------------------------------

#: The codings in the row for each order; zstd skips encrypted content, which does not shrink.
ORDERS = {
    ("zstd", "fernet"): "zstd, fernet",
    ("fernet", "zstd"): "fernet",
    ("gzip", "fernet"): "application/x-gzip, fernet",
    ("fernet", "gzip"): "fernet, application/x-gzip",
    ("zstd", "fernet", "offload"): "zstd, fernet, offload",
}


@pytest.mark.parametrize("order", ORDERS)
def test_codings_are_applied_in_the_order_of_the_settings(
    site: Any, use: Configure, order: tuple[str, ...]
) -> None:
    """The row names them, so it is readable under every other order."""
    use(CODINGS=list(order))
    site().store_result("t1", LARGE, "SUCCESS")
    assert f"utf-8, {ORDERS[order]}" == TaskResult.objects.get().content_encoding
    for other in [*ORDERS, ()]:
        use(CODINGS=list(other))
        assert LARGE == site().get_result("t1")


# -- Rotation ------------------------------------------------------------------------


@pytest.fixture
def rotating(site: Any, use: Configure) -> Any:
    """A site with a large and a small result, both under an older key."""
    outage.silent_until = 0
    for path in blobs():
        path.unlink()
    backend = site()
    backend.store_result("large", LARGE, "SUCCESS")
    backend.store_result("small", "a word", "SUCCESS")
    use(fernet={"KEYS": [NEW, KEY]})
    return site()


def fingerprints() -> list[str]:
    """Return the keys of all blobs, as fingerprints."""
    return sorted(fingerprint_of(path.read_bytes()) for path in blobs())


@pytest.mark.usefixtures("rotating")
def test_blobs_are_re_encrypted_as_new_blobs(site: Any, use: Configure) -> None:
    """The row points to the new one; the clean-up deletes the old one."""
    assert f"2 rows were re-encrypted with the key {fingerprint(NEW)}.\n" == command("rotate")
    assert sorted(map(fingerprint, (KEY, NEW))) == fingerprints()
    assert "Deleted 1 blobs." in command("offload", "--clean", "--older-than=0s")
    assert [fingerprint(NEW)] == fingerprints()
    use(fernet={"KEYS": [NEW]})
    assert [LARGE, "a word"] == [site().get_result(one) for one in ("large", "small")]
    row = TaskResult.objects.get(task_id="large")
    assert ("utf-8, zstd, fernet, offload", True) == (row.content_encoding, len(row.result) < 1000)


@pytest.mark.usefixtures("rotating")
def test_blobs_under_the_newest_key_stay() -> None:
    """A second run writes neither to the table nor to the storage."""
    command("rotate")
    before = sorted(blobs())
    assert command("rotate").startswith("0 rows were")
    assert before == sorted(blobs())


@pytest.mark.usefixtures("rotating")
def test_dry_run_writes_no_blob() -> None:
    """It only reads them."""
    assert command("rotate", "--dry-run").endswith(
        "2 rows would be re-encrypted. Nothing was written.\n"
    )
    assert [fingerprint(KEY)] == fingerprints()


def test_missing_blob_is_named(rotating: Any) -> None:
    """The other rows are re-encrypted."""
    for path in blobs():
        path.unlink()
    with pytest.raises(
        CommandError, match=r"1 rows could not .*\n- blob .* missing; .*: task 'large'"
    ):
        command("rotate")
    assert "a word" == rotating.get_result("small")


def test_storage_that_cannot_be_written_to_loses_nothing(
    rotating: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The content moves into the row, under the newest key."""

    def full(*_arguments: Any, **_options: Any) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(FileSystemStorage, "_save", full)
    command("rotate")
    assert "no space left on device" in caplog.text
    assert LARGE == rotating.get_result("large")
    assert 10_000 < len(TaskResult.objects.get(task_id="large").result or "")


def test_content_in_the_row_stays_in_the_row(site: Any, use: Configure) -> None:
    """Another field of the record is in a blob, because the largest fields go first."""
    backend = site()
    backend.mark_as_failure("t1", ValueError("short"), traceback="T" + LARGE["text"])
    before = pointers(backend)
    use(fernet={"KEYS": [NEW, KEY]})
    assert command("rotate").startswith("1 rows were")
    assert (1, 1, set()) == (len(before), len(pointers(site())), before & pointers(site()))
    use(fernet={"KEYS": [NEW]})
    assert "short" == str(site().get_result("t1"))


def pointers(backend: Any) -> set[Any]:
    """Return the pointers in the row of the task."""
    (task,) = backend.results.load(["t1"], primary=True)
    return set(pointers_in(task.contents))


# -- The archive ---------------------------------------------------------------------


def expire(site: Any) -> list[dict[str, Any]]:
    """Let all results expire, and return their rows in the archive."""
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=2))
    before = set((ROOT / "archive").rglob("*.jsonl"))
    site().cleanup()
    files = set((ROOT / "archive").rglob("*.jsonl")) - before
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("rotating")
def test_archive_has_the_content_of_a_blob_with_a_missing_key(site: Any, use: Configure) -> None:
    """The blob is deleted with its row; the archived content is readable with the key."""
    use(fernet={"KEYS": [NEW]})
    rows = {row["task_id"]: row for row in expire(site)}
    assert ([], False) == (list(blobs()), TaskResult.objects.exists())
    large = rows["large"]
    assert f"the key with the fingerprint {fingerprint(KEY)} is missing" in large["unreadable"]
    assert "utf-8, zstd, fernet" == large["content_encoding"]
    frame = Keyring([KEY]).decrypt(b64decode(large["stored"]["result"]))
    assert LARGE == json.loads(zstandard.decompress(frame))


@pytest.mark.usefixtures("rotating")
def test_archive_names_a_missing_blob(site: Any) -> None:
    """It does not keep the other results from expiring."""
    for path in blobs():
        path.unlink()
    rows = {row["task_id"]: row for row in expire(site)}
    assert "is missing" in rows["large"]["unreadable"]
    assert "utf-8, zstd, fernet, offload" == rows["large"]["content_encoding"]
    assert "a word" == rows["small"]["result"]


@pytest.mark.usefixtures("rotating")
@pytest.mark.parametrize("times", [0, 1])
def test_archive_waits_for_the_storage_of_blobs(
    site: Any, use: Configure, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Even if the storage fails after it has returned the blob once, whose key is missing."""
    opened: list[str] = []
    really_open: Any = vars(FileSystemStorage)["_open"]

    def away(storage: Any, name: str, mode: str = "rb") -> Any:
        opened.append(name)
        if len(opened) > times:
            raise OSError("the network is down")
        return really_open(storage, name, mode)

    use(fernet={"KEYS": [NEW]})
    monkeypatch.setattr(FileSystemStorage, "_open", away)
    assert [] == expire(site)
    assert (2, times + 1) == (TaskResult.objects.count(), len(opened))
