"""Django settings for the tests of a plugin that needs nothing of a site of its own.

The tests of a plugin name them in their ``pyproject.toml``::

    [tool.pytest.ini_options]
    DJANGO_SETTINGS_MODULE = "django_celery_results.testing.settings"
    django_find_project = false
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from zlib import crc32

# The same in every process that a test starts, another one in the tests of another plugin.
_NAME = f"django-celery-results-{crc32(str(Path.cwd()).encode()):08x}"
# A file, which threads and processes can share.
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
SECRET_KEY = "the tests of a plugin keep no secret"  # noqa: S105 - as it says
USE_TZ = True
CELERY_RESULT_BACKEND = "django-db"
