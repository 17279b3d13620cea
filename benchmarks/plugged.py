"""The first-party plugins that each contender uses, and the site's settings for them.

These contenders run where all of them are installed; the unused ones are disabled.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ALL", "BOTH", "CORE", "KINDS", "OPTIONS", "WEIGHED"]

DAY = 24 * 3600.0
#: Each plugin's own settings, as a site may set them. Other settings have their defaults.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "archive": {"STORAGE": "archive"},
    # Any valid key serves.
    "fernet": {"KEYS": [base64.urlsafe_b64encode(bytes(32)).decode()]},
    "labels": {},
    "msgspec": {},
    "offload": {"STORAGE": "blobs"},
    "prometheus": {"TOKEN": "benchmark"},
    "redact": {},
    "retention": {
        "RULES": [
            {"TASK": "ping", "KEEP": 0},
            {"STATE": "FAILURE", "KEEP": 30 * DAY},
            {"TASK": "reports.*", "KEEP": 365 * DAY},
        ]
    },
    "zstd": {},
}
#: In the order in which they are applied.
CODINGS = ("zstd", "fernet", "offload")

CORE, BOTH, ALL = "core alone", "zstd and offload", "all nine"
#: The plugins that each contender has active.
KINDS: Mapping[str, tuple[str, ...]] = {
    CORE: (),
    **{name: (name,) for name in OPTIONS},
    ALL: tuple(OPTIONS),
    BOTH: ("zstd", "offload"),
}
#: The contenders whose results are weighed.
WEIGHED = (CORE, "zstd", "offload", BOTH)


def apps(kind: str) -> list[str]:
    """Return the apps of the plugins that are active."""
    return ["django_celery_results_labels"] if "labels" in KINDS.get(kind, ()) else []


def options(kind: str) -> dict[str, Any]:
    """Return the setting ``DJANGO_CELERY_RESULTS``, empty for contenders without plugins."""
    active = KINDS.get(kind)
    if active is None:
        return {}
    return {
        "DISABLED_PLUGINS": [name for name in OPTIONS if name not in active],
        "CODINGS": [name for name in CODINGS if name in active],
        **{name: OPTIONS[name] for name in active},
    }


def celery_settings(kind: str) -> dict[str, Any]:
    """Return the settings of Celery that choose a serializer."""
    if "msgspec" not in KINDS[kind]:
        return {}
    return {"result_serializer": "msgspec-json", "result_accept_content": ["msgspec-json", "json"]}


def storages(contender: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the setting ``STORAGES``: folders that belong to the contender."""
    return {
        name: {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(folder(contender, name))},
        }
        for name in ("archive", "blobs")
    }


def folder(contender: Mapping[str, str], name: str) -> Path:
    """Return the folder of one of the contender's storages."""
    return Path(contender["directory"]) / contender["name"] / name
