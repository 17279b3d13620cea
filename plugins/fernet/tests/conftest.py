"""Makes fixtures known to pytest; a separate module, because mypy takes one conftest only."""

from __future__ import annotations

from fernet_rotating import site

__all__ = ["site"]
