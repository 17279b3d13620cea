"""A key store that fails on import, because its environment variable is missing."""

from __future__ import annotations

import os

KEYS = os.environ["NO_SUCH_KEYS"].split()
