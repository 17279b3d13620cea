"""Makes pages that are written to read well on a forge work in the built site too.

- A list of links in an index page is its table of contents, because a forge shows a ``toctree``
  as code.
- An rst page links to another page by its file name.
- A Markdown page links to an explicit target of an rst page: ``hooks.rst#hook-before-store``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.addnodes import pending_xref

if TYPE_CHECKING:
    from sphinx.application import Sphinx

#: The pages whose lists of links are tables of contents.
INDEXES = ("index", "plugins/index")
SUFFIXES = (".md", ".rst")
TOCTREE = """
```{{toctree}}
:hidden:
:caption: {caption}

{pages}
```
"""
_ITEM = re.compile(r"^- \[[^\]]+\]\(([\w/-]+)\.(?:md|rst)\)", re.MULTILINE)


def add_toctrees(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Append a hidden toctree for each section of an index page that has a list of links."""
    if docname in INDEXES:
        _, *sections = re.split(r"^## ", content[0], flags=re.MULTILINE)
        content[0] += "".join(map(toctree, sections))


def toctree(section: str) -> str:
    """Return the toctree of a section, whose text begins with its heading; empty without links."""
    caption, _, text = section.partition("\n")
    pages = "\n".join(_ITEM.findall(text))
    return TOCTREE.format(caption=caption, pages=pages) if pages else ""


def connect_pages(app: Sphinx, doctree: nodes.document) -> None:
    """Resolve an rst page's links to other pages, and tell MyST the page's targets."""
    docname = app.env.docname
    if PurePosixPath(app.env.doc2path(docname)).suffix != ".rst":
        return
    # MyST looks here for the target of a link: (line, id, heading).
    slugs = {target: (None, target, "") for target in doctree.nameids.values() if target}
    app.env.metadata[docname]["myst_slugs"] = slugs
    for link in list(doctree.findall(nodes.reference)):
        path = PurePosixPath(link.get("refuri", ""))
        if path.suffix in SUFFIXES and ":" not in str(path):
            link.replace_self(page_link(docname, str(path.with_suffix("")), link))


def page_link(docname: str, page: str, link: nodes.reference) -> pending_xref:
    """Return a node that Sphinx resolves to a link to ``page``, with the text of ``link``."""
    options = {"refdomain": "std", "reftype": "doc", "refexplicit": True, "refwarn": True}
    text = nodes.inline("", "", *link.children)
    return pending_xref("", text, refdoc=docname, reftarget=page, **options)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the handlers with Sphinx."""
    app.connect("source-read", add_toctrees)
    app.connect("doctree-read", connect_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
