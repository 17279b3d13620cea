"""Makes fixtures known to pytest; a separate module, because mypy takes one conftest only."""

from __future__ import annotations

from offload_disk import on_disk

__all__ = ["on_disk"]
