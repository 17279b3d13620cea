"""The one reader of ``django.conf.settings``: a typed property per setting.

Nothing is cached, so ``override_settings`` works everywhere. A property gives the
setting's value as written when it has the right type and its default otherwise:
the system checks (:mod:`django_celery_results.checks`) are what reports a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeGuard

from django.conf import settings

__all__ = ["KNOWN_KEYS", "ResultsSettings", "results_settings"]

#: The keys of ``DJANGO_CELERY_RESULTS`` that are settings of the core. Any other
#: key is the name of a plugin, whose options stand under it.
KNOWN_KEYS = frozenset(
    {
        "ALLOW_EDITS",
        "CHORD_CLAIM_TIMEOUT",
        "CODINGS",
        "DISABLED_PLUGINS",
        "EXPIRE_BATCH_PAUSE",
        "EXPIRE_BATCH_SIZE",
        "EXPIRE_UNFINISHED_AFTER",
        "PLUGINS",
        "STRICT_PLUGINS",
    }
)

DEFAULT_ID_LENGTH = 255
DEFAULT_CLAIM_TIMEOUT = timedelta(minutes=5)
DEFAULT_UNFINISHED_AFTER = timedelta(days=30)
DEFAULT_BATCH_SIZE = 5000


class ResultsSettings:
    """Typed access to every setting of this package."""

    def raw(self, name: str) -> Any:
        """Return the setting ``name`` as written, ``None`` when it is not set."""
        return getattr(settings, name, None)

    @property
    def task_id_max_length(self) -> int:
        """``DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH``: characters in every id column."""
        value = getattr(settings, "DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH", DEFAULT_ID_LENGTH)
        return value if _is_count(value) else DEFAULT_ID_LENGTH

    @property
    def id_first_urls(self) -> bool:
        """``DJANGO_CELERY_RESULTS_ID_FIRST_URLS``: serve 1.x's URLs too (default True)."""
        return bool(getattr(settings, "DJANGO_CELERY_RESULTS_ID_FIRST_URLS", True))

    @property
    def use_tz(self) -> bool:
        """Django's ``USE_TZ``."""
        return bool(settings.USE_TZ)

    @property
    def migration_modules(self) -> Mapping[str, str | None]:
        """Django's ``MIGRATION_MODULES``: where a site keeps an app's migrations."""
        return settings.MIGRATION_MODULES

    @property
    def options(self) -> Mapping[str, Any]:
        """``DJANGO_CELERY_RESULTS`` as written, or an empty mapping."""
        value = getattr(settings, "DJANGO_CELERY_RESULTS", None)
        return value if isinstance(value, Mapping) else {}

    @property
    def allow_edits(self) -> bool:
        """``ALLOW_EDITS``: the admin may change dates, result and meta."""
        return self.options.get("ALLOW_EDITS") is True

    @property
    def plugins(self) -> Sequence[object]:
        """``PLUGINS``: dotted paths, modules, classes or instances, first called first."""
        return _sequence(self.options.get("PLUGINS"))

    @property
    def disabled_plugins(self) -> frozenset[str]:
        """``DISABLED_PLUGINS``: names of plugins that must not load."""
        names = _sequence(self.options.get("DISABLED_PLUGINS"))
        return frozenset(name for name in names if isinstance(name, str))

    @property
    def strict_plugins(self) -> bool:
        """``STRICT_PLUGINS``: a plugin that fails to load is an error, not a log line."""
        return self.options.get("STRICT_PLUGINS", True) is not False

    @property
    def codings(self) -> tuple[str, ...]:
        """``CODINGS``: names of content codings, in the order in which they are applied."""
        names = _sequence(self.options.get("CODINGS"))
        return tuple(name for name in names if isinstance(name, str))

    @property
    def expire_unfinished_after(self) -> float:
        """``EXPIRE_UNFINISHED_AFTER`` in seconds: age at which an unfinished task expires."""
        return self._seconds("EXPIRE_UNFINISHED_AFTER", DEFAULT_UNFINISHED_AFTER)

    @property
    def chord_claim_timeout(self) -> float:
        """``CHORD_CLAIM_TIMEOUT`` in seconds: age at which a claim on a chord's body lapses."""
        return self._seconds("CHORD_CLAIM_TIMEOUT", DEFAULT_CLAIM_TIMEOUT)

    def _seconds(self, key: str, default: timedelta) -> float:
        value = self.options.get(key, default)
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0:
            return float(seconds)
        return default.total_seconds()

    @property
    def expire_batch_size(self) -> int:
        """``EXPIRE_BATCH_SIZE``: rows that expiry deletes in one transaction."""
        value = self.options.get("EXPIRE_BATCH_SIZE", DEFAULT_BATCH_SIZE)
        return value if _is_count(value) else DEFAULT_BATCH_SIZE

    @property
    def expire_batch_pause(self) -> float:
        """``EXPIRE_BATCH_PAUSE`` in seconds: how long expiry waits between two batches."""
        return self._seconds("EXPIRE_BATCH_PAUSE", timedelta(0))

    def plugin_options(self, name: str) -> Mapping[str, Any]:
        """Return the options of plugin ``name``: its mapping in ``DJANGO_CELERY_RESULTS``."""
        value = self.options.get(name)
        return value if isinstance(value, Mapping) else {}


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


results_settings = ResultsSettings()
