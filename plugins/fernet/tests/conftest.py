"""Where pytest finds fixtures and hooks; mypy knows one module of this name, and not this."""

from __future__ import annotations

from fernet_rotating import site

__all__ = ["site"]
