"""The built-in storage in Django's databases.

The names exported here are for commands of plugins that change stored contents.
"""

from __future__ import annotations

from .contents import ContentRow, DatabaseContents

__all__ = ["ContentRow", "DatabaseContents"]
