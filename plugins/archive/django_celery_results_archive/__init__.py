"""Expired results are written to files before they go: a plugin of django-celery-results."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
