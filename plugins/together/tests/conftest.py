"""Makes fixtures known to pytest; a separate module, because mypy takes one conftest only."""

from __future__ import annotations

from together_fixtures import *  # noqa: F403 - all that it has for that
