"""The fixtures of the backends' tests: a storage is tested through a backend over it."""

from __future__ import annotations

from tests.backends.conftest import backend, chord, results_cache, shared_cache

__all__ = ["backend", "chord", "results_cache", "shared_cache"]
