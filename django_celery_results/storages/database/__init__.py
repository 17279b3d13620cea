"""The built-in storage in Django's databases, and all contents in it, for commands of plugins."""

from __future__ import annotations

from .contents import ContentRow, DatabaseContents

__all__ = ["ContentRow", "DatabaseContents"]
