"""A django-celery-results plugin that decides how long each result is kept."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
