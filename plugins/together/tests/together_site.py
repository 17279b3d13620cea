"""A site with all nine first-party plugins active, and production-like settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import settings

__all__ = [
    "ALL",
    "CODINGS",
    "LOGGING",
    "ROOT",
    "STORAGES",
    "WORKER_SETTINGS",
    "blobs",
    "labels_of",
    "options",
]

#: The worker's ``DJANGO_SETTINGS_MODULE``.
WORKER_SETTINGS = "plugins.together.tests.together_settings"
PLUGINS = Path(__file__).resolve().parent.parent.parent
#: The names of the first-party plugins.
ALL = sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))
ROOT = settings.RUN_DIRECTORY / "together"
CODINGS = ["zstd", "fernet", "offload"]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    **{
        alias: {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(ROOT / alias)},
        }
        for alias in ("blobs", "archive")
    },
}

#: Celery logs what tasks return and raise, and no plugin can keep secrets out of that log, so
#: its logger is silenced.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"celery.app.trace": {"level": "CRITICAL"}},
}

KEY = "VEVTVC1LRVktb2YtZGphbmdvLWNlbGVyeS1yZXN1bHQ="


def options(**changes: Any) -> dict[str, Any]:
    """Return ``DJANGO_CELERY_RESULTS`` with some keys changed."""
    return {
        "CODINGS": CODINGS,
        "fernet": {"KEYS": [KEY]},
        "offload": {"STORAGE": "blobs", "THRESHOLD": 4000},
        "archive": {"STORAGE": "archive"},
        "redact": {"TASKS": {"*.login": ["pin"]}},
        "retention": {
            "RULES": [
                {"TASK": "*.brief_report", "KEEP": 0},
                {"TASK": "*.report", "KEEP": timedelta(days=365)},
                {"STATE": "FAILURE", "KEEP": timedelta(days=30)},
            ]
        },
        "labels": {"FUNCTION": "together_site.labels_of"},
        "prometheus": {"TOKEN": "a long and random string"},
        **changes,
    }


def labels_of(task: Any) -> dict[str, Any]:
    """Label each result with the card number that it contains."""
    return {"card": task.result.get("card")} if isinstance(task.result, dict) else {}


def blobs(task_id: str = "") -> Iterator[Path]:
    """Yield all blobs, or those of one task."""
    for path in (ROOT / "blobs").rglob(f"{task_id}*"):
        if path.is_file():
            yield path
