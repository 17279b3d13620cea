"""``celery_results offload`` and the plugin's settings."""

from __future__ import annotations

import os
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command

from django_celery_results.models import TaskResult
from django_celery_results.testing import check_plugin_settings
from django_celery_results_offload.blobs import section_of

if TYPE_CHECKING:
    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

LONG_AGO = time.time() - 2 * 24 * 3600
OPTIONS = {"STORAGE": "disk", "THRESHOLD": 2000}


@pytest.fixture(autouse=True)
def _storages(settings: Settings, tmp_path: Path, configure: Configure) -> None:
    """Sets up a storage on disk, another without listing, and the plugin."""
    disk = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    plain = {"BACKEND": "django.core.files.storage.Storage"}
    absent = {"BACKEND": "storages_that_nobody_has.S3Storage"}
    settings.STORAGES = {**settings.STORAGES, "disk": disk, "plain": plain, "absent": absent}
    configure(CODINGS=["offload"], offload=OPTIONS)


@pytest.fixture
def database(make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database backend, which the command opens too."""
    made = make_backend()
    monkeypatch.setattr(
        "django_celery_results_offload.command.open_backend", lambda _database: made
    )
    return made


def blobs(folder: Path) -> list[Path]:
    """Return the paths of all blobs."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def make_old(folder: Path) -> None:
    """Set the age of all blobs to two days."""
    for path in blobs(folder):
        os.utime(path, (LONG_AGO, LONG_AGO))


def shown(*arguments: str) -> list[list[str]]:
    """Run the command and return the cells that it prints."""
    out = StringIO()
    try:
        call_command("celery_results", "offload", *arguments, stdout=out)
    finally:
        lines = [line.split() for line in out.getvalue().splitlines()]
    return lines


def without_row(database: Any, folder: Path) -> Path:
    """Make one blob with a row and one without; return the latter."""
    for task_id in ("gone", "there"):
        database.store_result(task_id, "x" * 5000, "SUCCESS")
    TaskResult.objects.filter(task_id="gone").delete()
    make_old(folder)
    (blob,) = (path for path in blobs(folder) if path.name.startswith("gone."))
    return blob


def test_check_shows_blobs_without_a_row(database: Any, tmp_path: Path) -> None:
    """It does not delete them."""
    blob = without_row(database, tmp_path)
    name = blob.relative_to(tmp_path).as_posix()
    expected = [["BLOB", "TASK", "NAME"], ["without", "a", "row", "gone", name]]
    assert (expected, 2) == (shown("--check"), len(blobs(tmp_path)))


def test_clean_deletes_blobs_without_a_row(database: Any, tmp_path: Path) -> None:
    """It keeps the others."""
    blob = without_row(database, tmp_path)
    assert ["Deleted", "1", "blobs."] == shown("--clean")[-1]
    assert (False, "x" * 5000) == (blob.exists(), database.get_result("there"))


def test_blob_that_its_row_does_not_point_to_is_deleted(database: Any, tmp_path: Path) -> None:
    """A worker died between blob and row, and another worker ran the task again."""
    database.store_result("t1", "x" * 5000, "SUCCESS")
    (blob,) = blobs(tmp_path)
    blob.with_name("t1.result-another").write_bytes(b"x")
    make_old(tmp_path)
    shown("--clean")
    assert [blob] == blobs(tmp_path)


@pytest.mark.usefixtures("database")
def test_blobs_of_another_backend_are_left_alone(make_backend: MakeBackend, tmp_path: Path) -> None:
    """Their rows are in another place."""
    caches["default"].clear()
    cache = make_backend("django-cache")
    cache.store_result("t1", "x" * 5000, "SUCCESS")
    make_old(tmp_path)
    assert ["Deleted", "0", "blobs."] == shown("--clean")[-1]
    assert "x" * 5000 == cache.get_result("t1")


def test_section_is_named_after_the_place_of_the_storage() -> None:
    """Blobs exist under the names of the built-in storages; a slash would be another folder."""
    assert "sqlite%2Fvar%2Fresults" == section_of(SimpleNamespace(place="sqlite/var/results"))


def test_section_of_a_storage_that_does_not_say_its_place() -> None:
    """It is named after the class."""
    assert "object" == section_of(object())


def test_sections_of_the_built_in_storages_stay(make_backend: MakeBackend) -> None:
    """Blobs exist under these names."""
    urls = ("django-db", "django-cache")
    expected = ["default-django_celery_results.taskresult", "default-cache"]
    assert expected == [section_of(make_backend(url).storage) for url in urls]


def test_young_blobs_are_left_alone(database: Any) -> None:
    """Their rows may be on their way; the age can be given."""
    database.store_result("t1", "x" * 5000, "SUCCESS")
    TaskResult.objects.all().delete()
    assert ["Deleted", "0", "blobs."] == shown("--clean")[-1]
    assert ["Deleted", "1", "blobs."] == shown("--clean", "--older-than=0s")[-1]


def test_blob_that_disappears_meanwhile_is_not_counted(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process forgot its task after the listing."""
    without_row(database, tmp_path)

    def gone(_self: Any, name: str) -> Any:
        raise FileNotFoundError(name)

    monkeypatch.setattr(FileSystemStorage, "get_modified_time", gone)
    assert ["Deleted", "0", "blobs."] == shown("--clean")[-1]


def test_storage_is_asked_only_for_the_age_of_blobs_without_a_row(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be remote and hold very many blobs."""
    blob = without_row(database, tmp_path)
    asked, get_modified_time = [], FileSystemStorage.get_modified_time

    def noted(self: Any, name: str) -> Any:
        asked.append(name)
        return get_modified_time(self, name)

    monkeypatch.setattr(FileSystemStorage, "get_modified_time", noted)
    shown("--clean")
    assert [blob.relative_to(tmp_path).as_posix()] == asked


def test_naive_times_are_in_the_sites_time_zone(
    database: Any, tmp_path: Path, settings: Settings
) -> None:
    """A storage returns them if USE_TZ is off."""
    without_row(database, tmp_path)
    settings.USE_TZ = False
    assert 2 == len(shown("--check"))


@pytest.mark.parametrize("option", ["--check", "--clean"])
def test_missing_blob_is_shown_as_an_error(database: Any, tmp_path: Path, option: str) -> None:
    """The command cannot repair it."""
    for task_id in ("lost", "there"):
        database.store_result(task_id, "x" * 5000, "SUCCESS")
    (blob,) = (path for path in blobs(tmp_path) if path.name.startswith("lost."))
    blob.unlink()
    out = StringIO()
    with pytest.raises(CommandError, match="1 blobs are missing; their results cannot be read"):
        call_command("celery_results", "offload", option, stdout=out)
    assert f"missing  lost  {blob.relative_to(tmp_path).as_posix()}" in out.getvalue()


def test_row_that_disappears_meanwhile_misses_no_blob(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was forgotten together with its blob."""
    database.store_result("t1", "x" * 5000, "SUCCESS")
    blobs(tmp_path)[0].unlink()

    def forget(_self: Any, _name: str) -> bool:
        TaskResult.objects.all().delete()
        return False

    monkeypatch.setattr(FileSystemStorage, "exists", forget)
    assert [["BLOB", "TASK", "NAME"]] == shown("--check")


def test_blob_that_appears_meanwhile_is_not_missing(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written after the blobs were listed."""
    database.store_result("t1", "x" * 5000, "SUCCESS")
    monkeypatch.setattr("django_celery_results_offload.command.list_blobs", lambda _section: ())
    assert [["BLOB", "TASK", "NAME"]] == shown("--check")


@pytest.mark.django_db(transaction=True)
def test_blobs_of_items_dropped_by_a_cache_are_deleted(
    make_backend: MakeBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: str
) -> None:
    """A cache does not report what it drops, so its blobs stay until the clean-up."""
    backend = make_backend(f"django-cache://{shared_cache}")
    monkeypatch.setattr(
        "django_celery_results_offload.command.open_backend", lambda _database: backend
    )
    for task_id in ("gone", "there"):
        backend.store_result(task_id, "x" * 5000, "SUCCESS")
    backend.delete(backend.get_key_for_task("gone"))
    make_old(tmp_path)
    assert ["Deleted", "1", "blobs."] == shown("--clean")[-1]
    assert "x" * 5000 == backend.get_result("there")


def test_blobs_are_looked_up_in_chunks(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storage may hold any number of them."""
    monkeypatch.setattr("django_celery_results_offload.command.CHUNK", 2)
    for number in range(5):
        database.store_result(f"t{number}", "x" * 5000, "SUCCESS")
    make_old(tmp_path)
    assert [["BLOB", "TASK", "NAME"]] == shown("--check")


@pytest.mark.usefixtures("database")
def test_empty_storage_has_no_blobs() -> None:
    """A missing folder is not an error."""
    assert [["BLOB", "TASK", "NAME"]] == shown("--check")


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"STORAGE": "plain"}, "The storage 'plain' cannot list its files or tell their age"),
        ({}, "'STORAGE'] is not set"),
    ],
)
def test_storage_that_cannot_be_searched_is_reported(
    configure: Configure, own: dict[str, Any], message: str
) -> None:
    """As a command error, without a traceback."""
    configure(CODINGS=["offload"], offload=own)
    with pytest.raises(CommandError, match=message.replace("]", r"\]")):
        shown("--check")


def test_an_action_has_to_be_given() -> None:
    """Nothing is deleted by accident."""
    with pytest.raises(CommandError, match="arguments --check --clean --move is required"):
        shown()


# -- Settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codings", "options", "ids"),
    [
        (["offload"], {"STORAGE": "disk", "THRESHOLD": 1024, "PREFIX": "a/b-c.d"}, []),
        (["zlib", "offload"], OPTIONS, []),
        (["offload", "zlib"], OPTIONS, ["E005"]),
        (["offload"], {}, ["E002"]),
        ([], {"STORAGE": "s3"}, ["E002"]),
        (["offload"], {"STORAGE": "disk", "THRESHOLD": 1023}, ["E003"]),
        (["offload"], {"STORAGE": "disk", "PREFIX": "../x"}, ["E004"]),
        (["offload"], {"STORAGE": "disk", "PREFIX": ""}, ["E004"]),
        (["offload"], {"STORAGE": "disk", "TRESHOLD": 5}, ["W001"]),
        (["offload"], "disk", ["E001"]),
        (["offload"], {"STORAGE": "absent"}, ["E006"]),
    ],
)
def test_wrong_settings_are_reported(
    configure: Configure, codings: list[str], options: Any, ids: list[str]
) -> None:
    """Each problem has its own check id."""
    configure(CODINGS=codings, offload=options)
    expected = [f"django_celery_results_offload.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_no_settings_are_needed_if_it_is_not_in_use(configure: Configure) -> None:
    """Old rows contain the place of their blobs."""
    configure()
    assert [] == list(check_plugin_settings())
