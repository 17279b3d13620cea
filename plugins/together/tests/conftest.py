"""Imports fixtures for pytest; mypy skips this file, as it accepts one module named conftest."""

from __future__ import annotations

from together_fixtures import *  # noqa: F403 - all that it has for that
