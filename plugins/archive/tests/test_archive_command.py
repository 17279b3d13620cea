"""``celery_results archive`` and the plugin's settings."""

from __future__ import annotations

import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from django_celery_results.testing import check_plugin_settings

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_django import Settings

    from tests.configuring import Configure

FILES = {
    f"celery-results/2026-11-21/a.b/{'1' * 32}-3.jsonl": b"123",
    f"celery-results/2026-11-21/c/{'2' * 32}-20.parquet": b"1234567890",
    f"celery-results/2026-11-22/a.b/{'3' * 32}-1.jsonl.gz": b"1",
}


@pytest.fixture(autouse=True)
def _storages(settings: Settings, tmp_path: Path, configure: Configure) -> None:
    """Sets up a storage on disk, and another without listing."""
    backend = "django.core.files.storage.FileSystemStorage"
    disk = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path)}}
    plain = {"BACKEND": "django.core.files.storage.Storage"}
    settings.STORAGES = {**settings.STORAGES, "disk": disk, "plain": plain}
    configure(archive={"STORAGE": "disk"})


@pytest.fixture
def _files() -> None:
    """Saves files of the archive, and others that do not belong to it."""
    for name, content in FILES.items():
        storages["disk"].save(name, ContentFile(content))
    storages["disk"].save("celery-results/2026-11-21/c/half.jsonl.123.part", ContentFile(b"1"))
    storages["disk"].save("celery-results/readme.txt", ContentFile(b"1"))


def shown(*arguments: str) -> list[list[str]]:
    """Run the command and return the cells that it prints."""
    out = StringIO()
    call_command("celery_results", "archive", "--list", *arguments, stdout=out)
    return [line.split() for line in out.getvalue().splitlines()]


@pytest.mark.usefixtures("_files")
def test_list_shows_files_sizes_and_numbers_of_results() -> None:
    """In order of their names, with the totals."""
    sizes = [["3", "3"], ["10", "20"], ["1", "1"]]
    rows = [[name, *numbers] for name, numbers in zip(FILES, sizes, strict=True)]
    assert [["FILE", "BYTES", "RESULTS"], *rows, ["total", "14", "24"]] == shown()


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["--day", "2026-11-21"], ["3", "20"]),
        (["--task", "a.b"], ["3", "1"]),
        (["--day=2026-11-22", "--task=a.b"], ["1"]),
        (["--task", "a"], []),
        (["--day", "2025-01-01"], []),
    ],
)
def test_list_can_be_limited_to_a_day_or_task(arguments: list[str], numbers: list[str]) -> None:
    """Or to both together."""
    assert numbers == [row[2] for row in shown(*arguments)[1:-1]]


def test_empty_archive_has_no_files() -> None:
    """A missing folder is not an error."""
    assert [["FILE", "BYTES", "RESULTS"], ["total", "0", "0"]] == shown()


def test_wrong_day_is_an_error() -> None:
    """The error shows the format."""
    with pytest.raises(CommandError, match="'yesterday' is not a day; write it as 2026-11-22"):
        shown("--day", "yesterday")


def test_storage_that_cannot_list_is_reported(configure: Configure) -> None:
    """Django does not require storages to list their files."""
    configure(archive={"STORAGE": "plain"})
    with pytest.raises(CommandError, match="The storage 'plain' cannot list its files"):
        shown()


def test_missing_setting_is_reported(configure: Configure) -> None:
    """As a command error, without a traceback."""
    configure()
    with pytest.raises(CommandError, match="'STORAGE'] is not set"):
        shown()


# -- Settings ------------------------------------------------------------------------


def checked(configure: Configure, options: Any) -> list[tuple[str, str]]:
    """Return the messages of the checks, each with the end of its id."""
    configure(archive=options)
    return [(str(one.id).rpartition(".")[2], one.msg) for one in check_plugin_settings()]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"FORMAT": "parquet", "PREFIX": "a/b-c.d", "GZIP": True}, []),
        ({"STORAGE": "s3"}, ["E002"]),
        ({"STORAGE": None}, ["E002"]),
        ({"FORMAT": "csv"}, ["E003"]),
        ({"FORMAT": 1}, ["E003"]),
        ({"PREFIX": "/results"}, ["E004"]),
        ({"PREFIX": "a/../b"}, ["E004"]),
        ({"PREFIX": ""}, ["E004"]),
        ({"GZIP": "yes"}, ["E005"]),
        ({"FROMAT": "csv"}, ["W001"]),
    ],
)
def test_wrong_settings_are_reported(
    configure: Configure, options: dict[str, Any], ids: list[str]
) -> None:
    """Each problem has its own check id."""
    assert ids == [one for one, _ in checked(configure, {"STORAGE": "disk", **options})]


def test_setting_that_is_not_a_dict_is_reported(configure: Configure) -> None:
    """The same as for every plugin."""
    assert ["E001"] == [one for one, _ in checked(configure, "disk")]


def test_missing_library_is_reported(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ((number, message),) = checked(configure, {"STORAGE": "disk", "FORMAT": "parquet"})
    assert "E003" == number
    assert "pip install 'django-celery-results-archive[parquet]'" in message
