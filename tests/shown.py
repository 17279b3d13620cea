"""Runs what the documentation shows, in separate processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["environment", "run", "settings_blocks", "try_settings"]

TRY_SETTINGS = """
import django
from celery import Celery
from django.conf import settings
from django.core.management import call_command

django.setup()
call_command("check", fail_level="WARNING")
app = Celery("shown")
app.config_from_object("django.conf:settings", namespace="CELERY")
if "notebook" not in app.conf.result_backend:
    app.backend
"""
BASE_SETTINGS = """
from pathlib import Path

BASE_DIR = Path.cwd()
SECRET_KEY = "of a test"
INSTALLED_APPS = ["django_celery_results"]
CELERY_RESULT_BACKEND = "django-db"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379/1",
    },
}
"""
# The line above a block that shows a file is its marker: see tests/pages.py.
_SETTINGS = r"(?<! -->\n)^```python\n(.*?)^```"


def settings_blocks(pages: Iterable[Path]) -> list[Any]:
    """The Python blocks of the pages that show no file; they all contain settings."""
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in pages
        for number, block in enumerate(
            re.findall(_SETTINGS, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        )
    ]


def try_settings(block: str, directory: Path, *path: Path) -> None:
    """Fail unless a site with these settings passes its checks and opens its result backend."""
    (directory / "shown.py").write_text(BASE_SETTINGS + block, encoding="utf-8")
    run(TRY_SETTINGS, directory, "shown", *path)


def run(code: str, directory: Path, settings: str, *path: Path) -> str:
    """The output of ``code``, run in a new process in ``directory``."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,  # the output says why it failed
        cwd=directory,
        env=environment(settings, *path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


def environment(settings: str, *path: Path) -> dict[str, str]:
    """The environment of a process with these settings, which also imports from ``path``."""
    own = {
        "DJANGO_SETTINGS_MODULE": settings,
        "PYTHONPATH": os.pathsep.join(str(one) for one in path),
    }
    return {**os.environ, **own}
