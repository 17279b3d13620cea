"""Where pytest finds fixtures and hooks; mypy knows one module of this name, and not this."""

from __future__ import annotations

from together_fixtures import *  # noqa: F403 - all that it has for that
