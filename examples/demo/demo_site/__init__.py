"""A small Django site that stores the results of its tasks in its database."""

from __future__ import annotations

from demo_site.celery import app as celery_app

__all__ = ["celery_app"]
