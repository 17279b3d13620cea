"""A store of keys that cannot be imported where they are missing."""

from __future__ import annotations

import os

KEYS = os.environ["NO_SUCH_KEYS"].split()
