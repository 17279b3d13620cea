"""Counts the statements that Django executes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Statements"]


@dataclass
class Statements:
    """Counts statements, without BEGIN and COMMIT: for ``connection.execute_wrapper``."""

    count: int = 0
    #: Seconds that the longest statement took.
    longest: float = 0.0

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute a statement and count it."""
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            # SQLite's BEGIN is the only BEGIN or COMMIT that arrives here.
            self.count += sql != "BEGIN"
            self.longest = max(self.longest, time.perf_counter() - started)
