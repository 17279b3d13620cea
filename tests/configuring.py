"""What the tests of the first-party plugins set their settings with."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Configure"]


class Configure(Protocol):
    """Sets ``DJANGO_CELERY_RESULTS`` for the rest of the test."""

    def __call__(self, *active: str, **keys: Any) -> None:
        """Set these keys; of the first-party plugins those ``active`` are on, or else one's own."""
