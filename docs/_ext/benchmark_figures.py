"""A directive for tables of figures: ``benchmarks postgresql times``, for instance.

The figures come from ``benchmarks/figures.json``, so a page always agrees with that file. The
build fails if a page asks for figures that were not measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parent.parent.parent
# At the end of the path, so that the package itself is imported from where it is installed.
sys.path.append(str(ROOT))

from benchmarks import figures, tables  # noqa: E402  (found by the line above)

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FILE = ROOT / "benchmarks" / "figures.json"


class BenchmarkTable(SphinxDirective):
    """One table: the name of a kind of table, and the database for kinds that need one."""

    required_arguments = 1
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table that the arguments name."""
        self.env.note_dependency(str(FILE))
        which, database = [*self.arguments, ""][:2]
        try:
            headings, rows = content(figures.load(FILE), which, database)
        except KeyError as missing:
            raise self.error(f"{FILE.name} has no {missing}: run `make figures`") from missing
        return [table(headings, rows)]


#: The part of the figures that each table of the comparison shows.
COMPARISONS = {"times": figures.part(durable=False), "durable": figures.part(durable=True)}
#: For each other kind of table: headings, part of the figures, and function that makes the rows.
TABLES: dict[str, tuple[Sequence[str], str, Callable[[Any], tables.Rows]]] = {
    "workers": (tables.WORKERS, "workers", tables.worker_rows),
    "plugins": (tables.PLUGINS, "plugins", tables.plugin_rows),
    "sizes": (tables.SIZES, "plugins", tables.size_rows),
}


def content(found: dict[str, Any], which: str, database: str) -> tuple[Sequence[str], tables.Rows]:
    """Return headings and rows of a table; raise ``KeyError`` if the file lacks its figures."""
    if which == "conditions":
        return tables.CONDITIONS, tables.condition_rows(found)
    if which == "serializers":
        return tables.SERIALIZERS, tables.serializer_rows(found["serializers"])
    if which in COMPARISONS:
        return tables.TIMES, tables.time_rows(database, found[COMPARISONS[which]][database])
    if which == "facts":
        return tables.FACTS, tables.fact_rows(database, found["databases"][database])
    headings, part, rows = TABLES[which]
    return headings, rows(found[part][database])


def table(headings: Sequence[str], rows: tables.Rows) -> nodes.table:
    """Return a table whose cells are plain text."""
    columns = zip(headings, *rows, strict=True)
    group = nodes.tgroup(cols=len(headings))
    group += [nodes.colspec(colwidth=max(map(len, column))) for column in columns]
    group += nodes.thead("", _row(headings))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _row(cells: Sequence[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph(text=cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("benchmarks", BenchmarkTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
