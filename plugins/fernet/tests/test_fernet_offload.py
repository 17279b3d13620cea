"""``manage.py celery_results rotate`` if ``offload`` keeps contents in a Django storage."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery._state import get_current_app
from cryptography.fernet import Fernet
from django.core.management import call_command

from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from tests.configuring import Configure

    Site = Callable[..., Any]

pytestmark = pytest.mark.django_db(transaction=True)

NEW, OLD = (Fernet.generate_key().decode() for _ in range(2))
SECRET = "secret " * 1000


@pytest.fixture
def site(settings: Settings, tmp_path: Path, configure: Configure) -> Iterator[Site]:
    """Returns a function that makes the site's result backend, with codings and keys."""
    before: Any = get_current_app()
    disk = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "disk": disk}

    def make(codings: list[str], *keys: str) -> Any:
        offload = {"STORAGE": "disk", "THRESHOLD": 2000}
        configure("fernet", "offload", CODINGS=codings, fernet={"KEYS": keys}, offload=offload)
        app = Celery("site", set_as_current=False)
        app.conf.update(result_backend="django-db")
        app.set_current()
        return app.backend

    yield make
    before.set_current()


def run(*arguments: str) -> None:
    """Run an action of the command."""
    call_command("celery_results", *arguments, stdout=StringIO())


def clean() -> None:
    """Delete the blobs without a row that points to them."""
    run("offload", "--clean", "--older-than", "0s")


def blobs(folder: Path) -> bytes:
    """Return the contents of all blobs."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_pointers_of_plain_rows_are_not_encrypted(site: Site, tmp_path: Path) -> None:
    """An encrypted pointer would hide which blobs are needed; the blobs are encrypted instead."""
    site(["offload"]).store_result("t1", SECRET, "SUCCESS")
    backend = site(["fernet", "offload"], NEW)
    run("rotate", "--encrypt-plain")
    clean()
    assert SECRET == backend.get_result("t1")
    assert "utf-8, fernet, offload" == TaskResult.objects.get().content_encoding
    assert b"secret" not in blobs(tmp_path)


def test_result_in_a_blob_is_re_encrypted(site: Site, tmp_path: Path) -> None:
    """It gets a new blob, and the old one is left for the clean-up."""
    site(["fernet", "offload"], OLD).store_result("t1", SECRET, "SUCCESS")
    site(["fernet", "offload"], NEW, OLD)
    size = len(blobs(tmp_path))
    run("rotate")
    clean()
    assert SECRET == site(["fernet", "offload"], NEW).get_result("t1")
    assert (True, size) == (len(SECRET) < size, len(blobs(tmp_path)))
