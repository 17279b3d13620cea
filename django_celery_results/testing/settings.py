"""Django settings for testing a plugin that needs no site of its own.

To use them, name this module in the plugin's ``pyproject.toml``::

    [tool.pytest.ini_options]
    DJANGO_SETTINGS_MODULE = "django_celery_results.testing.settings"
    django_find_project = false
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from zlib import crc32

# The same in every process that a test starts, but different for another plugin's tests.
_NAME = f"django-celery-results-{crc32(str(Path.cwd()).encode()):08x}"
# A file, so that threads and processes can share the database.
_FILE = str(Path(tempfile.gettempdir()) / f"{_NAME}.sqlite3")

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FILE,
        "OPTIONS": {"timeout": 30},
        "TEST": {"NAME": _FILE},
    },
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": _NAME},
}
INSTALLED_APPS = ["django_celery_results"]
SECRET_KEY = "the tests of a plugin keep no secret"  # noqa: S105 - not a secret
USE_TZ = True
CELERY_RESULT_BACKEND = "django-db"
