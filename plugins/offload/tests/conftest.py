"""Imports fixtures for pytest; mypy skips this file, as it accepts one module named conftest."""

from __future__ import annotations

from offload_disk import on_disk

__all__ = ["on_disk"]
