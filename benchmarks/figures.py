"""The file of figures, which the documentation's tables are made of."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["load", "machine", "merge", "part"]


def load(path: Path) -> dict[str, Any]:
    """Return what the file holds; nothing where there is none."""
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def part(durable: bool) -> str:
    """Return the part of the file for the comparison, with and without waiting for the disk."""
    return "durable" if durable else "databases"


def merge(path: Path, new: dict[str, dict[str, Any]]) -> None:
    """Write the parts of ``new`` to the file and keep those of other databases."""
    old = load(path)
    both = old | {key: {**old.get(key, {}), **parts} for key, parts in new.items()}
    path.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Return what of this machine says how to read its figures."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
