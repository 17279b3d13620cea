"""A django-celery-results plugin that keeps large results in a Django storage."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
