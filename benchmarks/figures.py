"""The file of figures, from which the documentation's tables are made."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["load", "machine", "merge", "part"]


def load(path: Path) -> dict[str, Any]:
    """Return the content of the file, empty if there is no file."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def part(durable: bool) -> str:
    """Return the name of the comparison's part; ``durable``: commits wait for the disk."""
    return "durable" if durable else "databases"


def merge(path: Path, new: dict[str, dict[str, Any]]) -> None:
    """Write the parts of ``new`` to the file and keep those of other databases."""
    old = load(path)
    both = old | {key: {**old.get(key, {}), **parts} for key, parts in new.items()}
    path.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return the facts about this machine that affect its figures."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
