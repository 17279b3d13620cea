"""Where pytest finds fixtures and hooks; mypy knows one module of this name, and not this."""

from __future__ import annotations

from offload_disk import on_disk

__all__ = ["on_disk"]
