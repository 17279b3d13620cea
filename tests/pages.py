"""The pages of the documentation, and the code that they show.

A page shows a file, or a part of one, in an ordinary code block. A comment on the line above names
the file by its path from the page; neither a forge nor the built site shows the comment::

    <!-- file: ../examples/mysite/reading.txt from ">>> result" until "# many results" -->

``from`` and ``until`` may be left out. The part begins with the first line that starts with the one
text, and ends before the next line that starts with the other. ``python -m tests.pages`` writes the
present text of the files into all pages; a test fails until that has been done.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DOCS", "MARKER", "PAGES", "ROOT", "files_shown", "refresh", "refreshed"]

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
#: Every page of the documentation, and the README.
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), *sorted(DOCS.rglob("*.rst"))]

MARKER = "<!-- file:"
_BLOCK = re.compile(
    r'(?P<head>^<!-- file: (?P<file>\S+)(?: from "(?P<start>[^"]+)")?'
    r'(?: until "(?P<end>[^"]+)")? -->\n```\w+\n)(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


def refreshed(page: Path) -> str:
    """Return the text of a page with every marked block as its file says now."""
    text = page.read_text(encoding="utf-8")
    blocks = list(_BLOCK.finditer(text))
    if len(blocks) != text.count(MARKER):
        raise ValueError(f"{page}: a line that begins with {MARKER!r} marks no code block")
    return _BLOCK.sub(lambda block: f"{block['head']}{_code(page, block)}```", text)


def refresh() -> list[Path]:
    """Refresh all pages; return the changed ones."""
    new = {page: refreshed(page) for page in PAGES}
    changed = [page for page, text in new.items() if text != page.read_text(encoding="utf-8")]
    for page in changed:
        page.write_text(new[page], encoding="utf-8")
    return changed


def files_shown(page: Path) -> set[Path]:
    """Return the files whose code a page shows."""
    text = page.read_text(encoding="utf-8")
    return {(page.parent / block["file"]).resolve() for block in _BLOCK.finditer(text)}


def _code(page: Path, block: re.Match[str]) -> str:
    """Return the code for a block, without blank lines at either end."""
    lines = (page.parent / block["file"]).read_text(encoding="utf-8").splitlines()
    start = _index(lines, block["start"], 0) if block["start"] else 0
    end = _index(lines, block["end"], start + 1) if block["end"] else len(lines)
    return "\n".join(lines[start:end]).strip("\n") + "\n"


def _index(lines: list[str], text: str, first: int) -> int:
    for number, line in enumerate(lines[first:], first):
        if line.startswith(text):
            return number
    raise ValueError(f"no line starts with {text!r}")


if __name__ == "__main__":
    refresh()
