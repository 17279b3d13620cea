"""The settings of a contender's Django site, made from environment variables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks import plugged, servers

#: ``kind``, ``engine``, ``name`` (of the database) and ``directory``, from the parent process.
CONTENDER: dict[str, str] = json.loads(os.environ["BENCHMARK"])

DATABASES: dict[str, dict[str, Any]] = {
    "default": servers.settings_for(
        CONTENDER["engine"], CONTENDER["name"], Path(CONTENDER["directory"])
    )
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": servers.REDIS_URL,
        "KEY_PREFIX": CONTENDER["name"],
    }
}
INSTALLED_APPS = ["django_celery_results", *plugged.apps(CONTENDER["kind"])]
STORAGES = plugged.storages(CONTENDER)
DJANGO_CELERY_RESULTS = plugged.options(CONTENDER["kind"])
USE_TZ = True
SECRET_KEY = "benchmark"
