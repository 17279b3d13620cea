"""A django-celery-results plugin that serializes results with msgspec, as JSON or MessagePack."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
