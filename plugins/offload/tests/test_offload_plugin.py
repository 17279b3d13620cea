"""The plugin ``offload``: which contents it moves to blobs, reads back, and refuses."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult as CeleryGroup
from django.core.files.storage import FileSystemStorage
from offload_disk import OPTIONS

from django_celery_results.exceptions import (
    BackendMisconfigured,
    ResultUnavailable,
    ResultUnreadable,
)
from django_celery_results.models import TaskResult
from django_celery_results.records import Coding, Contents
from django_celery_results.testing import registered_plugins
from django_celery_results_offload.pointers import Pointer, content_of, pointers_in
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("on_disk")]

LARGE = {"words": ["ten thousand"] * 10_000}


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A database backend."""
    return make_backend()


def files(folder: Path) -> list[Path]:
    """Return the paths of the blobs."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def row_of(backend: Any, value: Any = LARGE, task_id: str = "t1", **how: Any) -> Any:
    """Store ``value`` and return its row."""
    backend.store_result(task_id, value, "SUCCESS", **how)
    return TaskResult.objects.get(task_id=task_id)


def fail(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let a method of the disk fail."""

    def broken(_self: Any, *arguments: Any, **keywords: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FileSystemStorage, method, broken)


# -- Contents that are offloaded -----------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "pickle", "msgpack"])
@pytest.mark.parametrize("url", ["django-db", "django-cache://default?serializer={}"])
def test_large_result_is_in_a_blob_and_comes_back(
    make_backend: MakeBackend, tmp_path: Path, url: str, serializer: str
) -> None:
    """On both backends, with any serializer."""
    conf = {"result_serializer": serializer, "result_accept_content": [serializer]}
    make_backend(url.format(serializer), **conf).store_result("t1", LARGE, "SUCCESS")
    assert LARGE == make_backend(url.format(serializer), **conf).get_result("t1")
    assert 1 == len(files(tmp_path))


def test_row_is_small_and_blob_is_the_serialized_result(backend: Any, tmp_path: Path) -> None:
    """The row only points to the blob."""
    row = row_of(backend)
    ((blob),) = files(tmp_path)
    assert ("utf-8, offload", True) == (row.content_encoding, len(row.result) < 500)
    assert LARGE == json.loads(blob.read_bytes())
    assert blob.name.startswith("t1.result-")


def test_small_result_stays_in_its_row(backend: Any, tmp_path: Path) -> None:
    """The row is the same as without the plugin."""
    row = row_of(backend, "x")
    assert ('"x"', "utf-8", []) == (row.result, row.content_encoding, files(tmp_path))


def test_largest_contents_go_until_the_rest_is_small(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    """The threshold is the size of the rest that stays in the row."""
    backend = make_backend(result_extended=True)
    request = request_of("t1", argsrepr="a" * 1500, kwargsrepr="k" * 1000, task="some.task")
    row_of(backend, "r" * 3000, request=request)
    assert ["args", "result"] == sorted(path.name[3:].split("-")[0] for path in files(tmp_path))
    meta = backend.get_task_meta("t1")
    assert ("r" * 3000, "a" * 1500, "k" * 1000) == (meta["result"], meta["args"], meta["kwargs"])


def test_all_contents_of_a_record_may_go(backend: Any, tmp_path: Path) -> None:
    """If even the meta is large."""
    row_of(backend, request=request_of("t1", meta={"log": "m" * 3000}))
    assert ("m" * 3000, 2) == (backend.get_task_meta("t1")["log"], len(files(tmp_path)))


def test_traceback_goes_and_comes_back(backend: Any, tmp_path: Path) -> None:
    """No serializer sees this text."""
    backend.store_result("t1", ValueError("no"), "FAILURE", traceback="ä" * 3000)
    assert ("ä" * 3000, 1) == (backend.get_task_meta("t1")["traceback"], len(files(tmp_path)))


def test_other_codings_come_first(make_backend: MakeBackend, tmp_path: Path) -> None:
    """The blob holds their output, which may be encrypted, for example."""

    def turned(content: bytes) -> bytes:
        return bytes(byte ^ 0xFF for byte in content)

    turn = Coding(name="turn", encode=turned, decode=turned)

    with registered_plugins(
        "offload", _contributing(turn), CODINGS=["turn", "offload"], offload=OPTIONS
    ):
        backend = make_backend()
        row = row_of(backend)
        (blob,) = files(tmp_path)
        assert "utf-8, turn, offload" == row.content_encoding
        assert LARGE == json.loads(turned(blob.read_bytes()))
        assert LARGE == backend.get_result("t1")


def _contributing(coding: Coding) -> Any:
    from django_celery_results import hookimpl

    class Contributing:
        @hookimpl
        def contribute_codings(self) -> Iterator[Coding]:
            yield coding

    return Contributing()


@pytest.mark.parametrize(
    "task_id", ["../../etc/passwd", "..", "a b/c%2F", "ü" * 60, "x" * 250, "a.result-1"]
)
def test_task_id_may_contain_any_characters(backend: Any, tmp_path: Path, task_id: str) -> None:
    """The blob stays under the prefix, and its name reveals the id."""
    from django_celery_results_offload.blobs import task_of

    row_of(backend, task_id=task_id)
    (blob,) = files(tmp_path)
    name = blob.relative_to(tmp_path).as_posix()
    assert (LARGE, task_id) == (backend.get_result(task_id), task_of(name))
    assert name.startswith("celery-blobs/")


def test_groups_stay_in_their_rows(backend: Any, tmp_path: Path) -> None:
    """Even with many tasks."""
    results = [backend.app.AsyncResult(f"task {number}") for number in range(200)]
    CeleryGroup("g1", results, app=backend.app).save(backend=backend)
    assert ([], 200) == (files(tmp_path), len(backend.restore_group("g1").results))


@pytest.mark.django_db(databases=["default", "secondary"])
def test_write_through_another_connection_stays_in_its_row(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    """The plugin cannot look there for the blob that the write replaces."""
    make_backend().store_result("t1", LARGE, "SUCCESS", using="secondary")
    assert [] == files(tmp_path)
    assert LARGE == make_backend("django-db://secondary").get_result("t1")


# -- Contents that cannot be read ----------------------------------------------------


def test_changed_blob_is_an_error(backend: Any, tmp_path: Path) -> None:
    """The error names the task and the blob."""
    row_of(backend)
    (blob,) = files(tmp_path)
    blob.write_bytes(blob.read_bytes().replace(b"ten", b"two", 1))
    with pytest.raises(
        ResultUnreadable, match=r"'t1' .*t1\.result-\w+' .* its SHA-256 digest differs"
    ):
        backend.get_result("t1")


@pytest.mark.parametrize("change", [lambda old: old[:-1], lambda old: old + b"x", lambda _: b""])
def test_truncated_or_extended_blob_is_an_error(backend: Any, tmp_path: Path, change: Any) -> None:
    """Its digest differs."""
    row_of(backend)
    (blob,) = files(tmp_path)
    blob.write_bytes(change(blob.read_bytes()))
    with pytest.raises(ResultUnreadable, match="its SHA-256 digest differs"):
        backend.get_result("t1")


def test_missing_blob_is_an_error_of_that_task_alone(backend: Any, tmp_path: Path) -> None:
    """It is not a temporary error."""
    row_of(backend)
    row_of(backend, 5, "t2")
    (blob,) = files(tmp_path)
    blob.unlink()
    with pytest.raises(ResultUnreadable, match=r"'t1' .*blob 'celery-blobs/.* is missing") as error:
        backend.get_result("t1")
    assert not isinstance(error.value, ResultUnavailable)
    assert 5 == backend.results.metas(["t1", "t2"])["t2"]["result"]


def test_reading_during_an_outage_is_a_temporary_error(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the task and the blob."""
    row_of(backend)
    with monkeypatch.context() as patch:
        fail(patch, "_open")
        expected = (
            r"'t1' .*blob '.*' in the storage 'disk' cannot be read now, try again later: OSError"
        )
        with pytest.raises(ResultUnavailable, match=expected):
            backend.get_result("t1")
    assert LARGE == backend.get_result("t1")


def test_storage_that_is_no_longer_in_the_settings_is_named(backend: Any) -> None:
    """The row contains the storage's alias."""
    row = row_of(backend)
    pointer = Pointer.from_bytes(b64decode(row.result))
    assert pointer is not None
    moved = Pointer(storage="old", name=pointer.name, size=pointer.size, sha256=pointer.sha256)
    TaskResult.objects.update(result=b64encode(moved.to_bytes()).decode())
    with pytest.raises(ResultUnavailable, match="Could not find config for 'old'"):
        backend.get_result("t1")


@pytest.mark.parametrize(
    ("name", "size"),
    [("../outside", 5), ("nul\x00", 5), ("celery-blobs", 5), ("{}", 2**70), ("{}/below", 5)],
)
def test_forged_pointer_is_no_outage(backend: Any, tmp_path: Path, name: str, size: int) -> None:
    """Callers need not wait for a blob that never existed."""
    row_of(backend)
    (blob,) = files(tmp_path)
    name = name.format(blob.relative_to(tmp_path).as_posix())
    pointer = Pointer(storage="disk", name=name, size=size, sha256="")
    TaskResult.objects.update(result=b64encode(pointer.to_bytes()).decode())
    with pytest.raises(ResultUnreadable, match=r"'t1' .* cannot have been written by") as raised:
        backend.get_result("t1")
    assert not isinstance(raised.value, ResultUnavailable)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x02",
        b"\x01",
        b"\x01[]",
        b"\x01{}",
        b"\x01" + b"[" * 20_000,
        b'\x01{"storage": 1, "name": 2, "size": 3, "sha256": 4}',
    ],
)
def test_corrupt_pointer_is_an_error(backend: Any, stored: bytes) -> None:
    """It counts as no pointer: the row can still be replaced and forgotten."""
    row_of(backend)
    TaskResult.objects.update(result=b64encode(stored).decode())
    with pytest.raises(ResultUnreadable, match=r"'t1' .*result is corrupt: "):
        backend.get_result("t1")
    backend.forget("t1")
    assert not TaskResult.objects.exists()


# -- Settings and off ----------------------------------------------------------------


@pytest.mark.parametrize("own", [{"STORAGE": "s3"}, {}, {"STORAGE": "disk", "THRESHOLD": 5}])
def test_wrong_setting_stores_nothing(
    configure: Configure, make_backend: MakeBackend, own: dict[str, Any]
) -> None:
    """The setting is not silently ignored."""
    configure(CODINGS=["offload"], offload=own)
    with pytest.raises(BackendMisconfigured, match=r"DJANGO_CELERY_RESULTS\['offload'\]"):
        make_backend().store_result("t1", LARGE, "SUCCESS")


@pytest.mark.parametrize(
    "keys", [{}, {"DISABLED_PLUGINS": ["offload"]}], ids=["unused", "disabled"]
)
def test_old_rows_are_readable_when_it_is_off(
    backend: Any, configure: Configure, make_backend: MakeBackend, keys: dict[str, Any]
) -> None:
    """New contents stay in their rows."""
    row_of(backend)
    configure(offload=OPTIONS, **keys)
    own = make_backend()
    assert LARGE == own.get_result("t1")
    assert "utf-8" == row_of(own, LARGE, "t2").content_encoding


def test_field_with_another_encoding_holds_no_pointer() -> None:
    """As the arguments that an earlier state left in the row."""
    contents = Contents(
        fields={"args": "(1,)", "kwargs": None},
        content_type="application/json",
        content_encoding="utf-8, offload",
    )
    assert set() == pointers_in(contents)
    assert [None, None] == [content_of(text) for text in contents.fields.values()]
