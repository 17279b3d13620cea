"""A django-celery-results plugin that compresses stored results with Zstandard."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
