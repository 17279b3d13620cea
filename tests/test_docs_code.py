"""Pages of the documentation show the code that the tests run, in a form that a forge shows too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import pages
from tests.pages import DOCS, PAGES, files_shown, refresh, refreshed

EXAMPLES = DOCS / "examples"

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: f"{page.parent.name}-{page.name}"
)


@each_page
def test_blocks_equal_their_files(page: Path) -> None:
    """If this fails after a change to an example, run ``python -m tests.pages``."""
    assert refreshed(page) == page.read_text(encoding="utf-8")


@each_page
def test_no_page_includes_a_file(page: Path) -> None:
    """A forge shows nothing in place of an include directive."""
    text = page.read_text(encoding="utf-8")

    assert [] == re.findall(r"\{(?:literal)?include\}|\.\. (?:literal)?include::", text)


def test_each_example_is_shown() -> None:
    """Every example file, except the empty ``__init__.py``, is on some page."""
    files = {path for path in EXAMPLES.rglob("*.*") if path.suffix in {".py", ".txt", ".toml"}}

    shown = set().union(*map(files_shown, PAGES))
    assert {EXAMPLES / "myplugins" / "__init__.py"} == files - shown


def test_readme_shows_a_plugin_of_15_lines() -> None:
    """The heading in the README states the plugin's length."""
    plugin = EXAMPLES / "myplugins" / "card_numbers.py"

    assert plugin in files_shown(pages.ROOT / "README.md")
    assert len(plugin.read_text(encoding="utf-8").splitlines()) <= 15


# -- Refreshing ----------------------------------------------------------------------

CODE = "first = 1\n\nsecond = 2\nthird = 3\n"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only page in this test, next to the file ``code.py``."""
    page = tmp_path / "page.md"
    monkeypatch.setattr(pages, "PAGES", [page])
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    return page


def block(marker: str, code: str) -> str:
    """A marked code block for a page."""
    return f"Before.\n\n<!-- file: {marker} -->\n```python\n{code}```\n\nAfter.\n"


@pytest.mark.parametrize(
    ("marker", "code"),
    [
        ("code.py", CODE),
        ('code.py from "second"', "second = 2\nthird = 3\n"),
        ('code.py until "second"', "first = 1\n"),
        ('code.py from "second" until "third"', "second = 2\n"),
    ],
)
def test_refreshing_writes_the_marked_part(page: Path, marker: str, code: str) -> None:
    """The text around the block is unchanged."""
    page.write_text(block(marker, "old\n"), encoding="utf-8")

    assert [page] == refresh()
    assert block(marker, code) == page.read_text(encoding="utf-8")


def test_refreshing_leaves_what_is_up_to_date(page: Path) -> None:
    """A page that already shows its file is not written."""
    page.write_text(block("code.py", CODE), encoding="utf-8")

    assert [] == refresh()


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('code.py from "fourth"', "no line starts with 'fourth'"),
        ('code.py until "first"', "no line starts with 'first'"),
        ("code.py lines 1-2", "marks no code block"),
    ],
)
def test_wrong_markers_are_errors(page: Path, marker: str, message: str) -> None:
    """Examples are a part that does not exist, and a misspelt marker."""
    page.write_text(block(marker, "old\n"), encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        refresh()
