"""Imports fixtures for pytest; mypy skips this file, as it accepts one module named conftest."""

from __future__ import annotations

from fernet_rotating import site

__all__ = ["site"]
