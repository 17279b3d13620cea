"""Sets the settings in tests of the first-party plugins."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Configure"]


class Configure(Protocol):
    """Sets ``DJANGO_CELERY_RESULTS`` for the rest of the test."""

    def __call__(self, *active: str, **keys: Any) -> None:
        """Set these keys, and enable only the plugins ``active``, by default the tested one."""
