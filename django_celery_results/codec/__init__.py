"""The built-in codec: Celery's serializers, codings in order, and text that any column can hold."""

from __future__ import annotations

from .plugin import codings_for, recode

__all__ = ["codings_for", "recode"]
