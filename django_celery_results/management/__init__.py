"""Actions of ``manage.py celery_results``, and helpers for the commands of plugins."""

from __future__ import annotations

from .expire_command import parse_age
from .opening import (
    add_database_argument,
    database_contents,
    find_database_contents,
    open_backend,
)
from .progress import INTERRUPTED, progress
from .subcommands import print_table, row_count

__all__ = [
    "INTERRUPTED",
    "add_database_argument",
    "database_contents",
    "find_database_contents",
    "open_backend",
    "parse_age",
    "print_table",
    "progress",
    "row_count",
]
