"""All canvases, by name."""

from __future__ import annotations

import celery

from .callbacks import DELIVERED, ERRBACKS, LINKS
from .chords import BODIES, HEADERS, NESTED
from .differences import UNSETTLED
from .errors import BODY_ERRORS, ERRORS, HEADER_ERRORS
from .groups import CHAINS, GROUPS
from .replaced import REPLACED, STAMPED

__all__ = ["ALL", "CATALOGUE"]

ALL = {
    **GROUPS,
    **CHAINS,
    **HEADERS,
    **BODIES,
    **NESTED,
    **REPLACED,
    **STAMPED,
    **ERRORS,
    **HEADER_ERRORS,
    **BODY_ERRORS,
    **LINKS,
    **ERRBACKS,
    **DELIVERED,
}
_SKIPPED = {one.canvas for one in UNSETTLED} if celery.VERSION < (5, 7) else set()
#: Canvases whose outcome can be compared with this release of Celery.
CATALOGUE = {name: build for name, build in ALL.items() if name not in _SKIPPED}
