"""A django-celery-results plugin that masks secrets before results are stored."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
