"""Links between pages work, on a forge as well as in the built site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PAGES, ROOT

#: Pages that a forge shows but that are not part of the built site.
READMES = sorted(
    path
    for folder in ("benchmarks", "changelog.d", "examples", "plugins")
    for path in (ROOT / folder).rglob("README.md")
)

FENCED = re.compile(r"^( *)(```|:::).*?^\1\2$\n?", re.MULTILINE | re.DOTALL)
MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")
RST_LINK = re.compile(r"`[^`<]+<([^>]+)>`_")


def name_of(page: Path) -> str:
    """The path of a page, as the name of its test."""
    return page.relative_to(ROOT).as_posix()


def prose_of(page: Path) -> str:
    """The text of a page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def links_of(page: Path) -> list[str]:
    """The targets of a page's relative links."""
    pattern = RST_LINK if page.suffix == ".rst" else MARKDOWN_LINK
    return [link for link in pattern.findall(prose_of(page)) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page that a forge and the built site both have."""
    if page.suffix == ".rst":
        return set(re.findall(r"^\.\. _([\w-]+):", page.read_text("utf-8"), re.MULTILINE))
    return set(slugs_of(re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)))


def slugs_of(headings: list[str]) -> Iterator[str]:
    """The anchors that a forge makes of headings; a number distinguishes equal headings."""
    seen: Counter[str] = Counter()
    for heading in headings:
        text = MARKDOWN_LINK.sub("", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def is_broken(page: Path, link: str) -> bool:
    """Whether the file, or the anchor in it, does not exist."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return not target.exists() or (bool(anchor) and anchor not in anchors_of(target))


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=name_of)
def test_links_lead_to_files_and_anchors(page: Path) -> None:
    """A link includes the file's extension, because a forge needs it to find the page."""
    assert [] == [link for link in links_of(page) if is_broken(page, link)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_have_nothing_that_a_forge_shows_as_text(page: Path) -> None:
    """Plain links replace Sphinx's roles for links, MyST's targets, and tables of contents."""
    syntax = r"\{(?:doc|ref|download)\}`|:(?:doc|ref|download):`|^\([\w-]+\)=$|\{toctree\}"

    assert [] == re.findall(syntax, page.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_links_to_follow() -> None:
    """Both kinds of pages have links, with and without an anchor."""
    found = {
        (page.suffix, "#" in link, link.endswith((".md", ".rst")))
        for page in PAGES
        for link in links_of(page)
    }

    assert {(".md", True, False), (".md", False, True), (".rst", False, True)} <= found


@pytest.mark.parametrize(
    ("link", "broken"),
    [
        ("page.md", False),
        ("page.md#one-c", False),
        ("page.md#one-c-1", False),
        ("#one-c", False),
        ("page.rst#target", False),
        ("page", True),
        ("page.md#two", True),
        ("page.md#no-heading", True),
        ("page.rst#heading", True),
    ],
)
def test_broken_links_are_found(tmp_path: Path, link: str, broken: bool) -> None:
    """Anchors of headings are spelt as on a forge; comments in code are not headings."""
    page = tmp_path / "page.md"
    page.write_text("# One `C`\n\n```\n# no heading\n```\n\n## One C\n", encoding="utf-8")
    (tmp_path / "page.rst").write_text(".. _target:\n\nHeading\n=======\n", encoding="utf-8")

    assert broken == is_broken(page, link)
