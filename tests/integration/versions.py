"""What older releases of Celery cannot do, over its own Redis backend either."""

from __future__ import annotations

import celery
import pytest

__all__ = ["since_57"]

since_57 = pytest.mark.skipif(
    celery.VERSION < (5, 7),
    reason="before 5.7 Celery leaves these pending for ever, over its own Redis backend too",
)
