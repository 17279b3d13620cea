"""The Celery result backends: ``django-db``, ``django-cache``, and the generic one.

Each class is imported on first access, so that a site that uses one does not load the
others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import ResultBackend
    from .cache import CacheBackend
    from .database import DatabaseBackend

__all__ = ["CacheBackend", "DatabaseBackend", "ResultBackend"]


def __getattr__(name: str) -> Any:
    if name == "DatabaseBackend":
        from .database import DatabaseBackend

        return DatabaseBackend
    if name == "CacheBackend":
        from .cache import CacheBackend

        return CacheBackend
    if name == "ResultBackend":
        from .base import ResultBackend

        return ResultBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
