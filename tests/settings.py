"""The Django site of the tests; environment variables choose its database and services.

A process that a test starts (such as a worker) reads the same variables, and so uses the same
databases: a test database has the name in DATABASES, not one that only the test runner knows.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any
from zlib import crc32

DATABASE = os.environ.get("RESULTS_DATABASE", "sqlite")
SUFFIX = os.environ.get("RESULTS_SUFFIX", "local")
#: pytest-xdist's name of this worker ("gw0"); the processes that its tests start inherit it.
XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
REQUIRE_SERVICES = os.environ.get("REQUIRE_SERVICES") == "1"

POSTGRES_HOST = os.environ.get("POSTGRES_HOST", "127.0.0.1")
POSTGRES_PORT = int(os.environ.get("POSTGRES_PORT", "5432"))
POSTGRES_USER = os.environ.get("POSTGRES_USER", "postgres")
POSTGRES_PASSWORD = os.environ.get("POSTGRES_PASSWORD", "")
MARIADB_HOST = os.environ.get("MARIADB_HOST", "127.0.0.1")
MARIADB_PORT = int(os.environ.get("MARIADB_PORT", "3306"))
MARIADB_USER = os.environ.get("MARIADB_USER", "root")
MARIADB_PASSWORD = os.environ.get("MARIADB_PASSWORD", "")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
RABBITMQ_URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
MEMCACHED_LOCATION = os.environ.get("MEMCACHED_LOCATION", "127.0.0.1:11211")

# Names the files, databases, queues and cache keys of this run, or of one xdist worker of it. Two
# runs at once need two values of RESULTS_SUFFIX. The worker comes before the suffix, so that no
# worker's name contains another's: Redis keys are deleted by a pattern around this name.
RUN_NAME = "_".join(filter(None, ("results", XDIST_WORKER, SUFFIX)))
RUN_NAME = RUN_NAME.replace("-", "_").replace(".", "_")
if len(RUN_NAME) > 45:
    # PostgreSQL's database names have at most 63 characters, and this one gets a suffix.
    RUN_NAME = f"{RUN_NAME[:36]}_{crc32(RUN_NAME.encode()):08x}"
RUN_DIRECTORY = Path(tempfile.gettempdir()) / RUN_NAME


def sqlite(alias: str) -> dict[str, Any]:
    """The options of a SQLite file, which processes and threads can share, unlike `:memory:`."""
    RUN_DIRECTORY.mkdir(exist_ok=True)
    path = str(RUN_DIRECTORY / f"{alias}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {"timeout": 30},
        "TEST": {"NAME": path},
    }


def postgresql(alias: str) -> dict[str, Any]:
    """The options of a PostgreSQL database."""
    name = f"{RUN_NAME}_{alias}"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "HOST": POSTGRES_HOST,
        "PORT": POSTGRES_PORT,
        "USER": POSTGRES_USER,
        "PASSWORD": POSTGRES_PASSWORD,
        "TEST": {"NAME": name},
    }


def mariadb(alias: str) -> dict[str, Any]:
    """The options of a MariaDB database in strict mode, with all of Unicode."""
    name = f"{RUN_NAME}_{alias}"
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": name,
        "HOST": MARIADB_HOST,
        "PORT": MARIADB_PORT,
        "USER": MARIADB_USER,
        "PASSWORD": MARIADB_PASSWORD,
        "OPTIONS": {"charset": "utf8mb4", "init_command": "SET sql_mode='STRICT_TRANS_TABLES'"},
        "TEST": {"NAME": name, "CHARSET": "utf8mb4", "COLLATION": "utf8mb4_unicode_ci"},
    }


ENGINES = {"sqlite": sqlite, "postgresql": postgresql, "mariadb": mariadb}

DATABASES = {alias: ENGINES[DATABASE](alias) for alias in ("default", "secondary")}

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": RUN_NAME},
    "redis": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": RUN_NAME,
    },
    "memcached": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": MEMCACHED_LOCATION,
        "KEY_PREFIX": RUN_NAME,
    },
    # Django creates this table when it creates a test database.
    "database": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache_table",
        # Django's default limit of 300 is soon reached, and Django would then delete results.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_celery_results",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "tests.urls"
SECRET_KEY = "the tests keep no secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"

CELERY_RESULT_BACKEND = "django-db"
# Loading the older URLs causes a warning, which is an error here; their tests enable them.
DJANGO_CELERY_RESULTS_ID_FIRST_URLS = False
