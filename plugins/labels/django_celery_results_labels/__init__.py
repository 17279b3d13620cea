"""A django-celery-results plugin that labels stored results (tenant, user, request id)."""

from __future__ import annotations

from .querying import labelled
from .sending import labels

__all__ = ["__version__", "labelled", "labels"]

__version__ = "1.0.0"
