"""Shared by the tests of ``rotate``: a site with keys, the command, and the keys of rows."""

from __future__ import annotations

from base64 import b64decode
from io import StringIO
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from celery import Celery
from cryptography.fernet import Fernet
from django.core.management import call_command

from django_celery_results.models import TaskResult
from django_celery_results_fernet.keyring import fingerprint, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.configuring import Configure

NEW, OLD, LOST = (Fernet.generate_key().decode() for _ in range(3))
IDS = {key: fingerprint(key) for key in (NEW, OLD, LOST)}


class Site(Protocol):
    """Makes a site with the given keys."""

    def __call__(self, *keys: str, codings: Any = ("fernet",), url: str = "django-db") -> Any:
        """Return the site's result backend, with these keys and codings."""


@pytest.fixture
def site(configure: Configure) -> Iterator[Site]:
    """Returns a function that makes the site's Celery app and settings."""
    from celery._state import get_current_app

    before: Any = get_current_app()

    def make(*keys: str, codings: Any = ("fernet",), url: str = "django-db") -> Any:
        configure("fernet", "zstd", CODINGS=list(codings), fernet={"KEYS": list(keys)})
        app = Celery("site", set_as_current=False)
        app.conf.update(result_backend=url, result_extended=True)
        app.set_current()
        return app.backend

    yield make
    before.set_current()


def rotate(*arguments: str, out: StringIO | None = None, **options: Any) -> str:
    """Run the command and return its output."""
    out = out or StringIO()
    call_command("celery_results", "rotate", *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def store(backend: Any, *ids: str, value: Any = "secret") -> None:
    """Store the value under each id."""
    for one in ids:
        backend.store_result(one, value, "SUCCESS", "Traceback")


def key_of(text: str) -> str:
    """Return the fingerprint of the key that encrypted a stored text."""
    return fingerprint_of(b64decode(text))


def keys() -> dict[str, str]:
    """Return each task's key, or the content encoding if its result is not encrypted."""
    rows = TaskResult.objects.values_list("task_id", "result", "content_encoding").order_by("pk")
    return {one: key_of(text) if "fernet" in coding else coding for one, text, coding in rows}
