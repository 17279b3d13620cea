"""What the documentation shows of performance is what was measured, all of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "explanation" / "performance.md").read_text(encoding="utf-8")
DATABASES = ("sqlite", "postgresql", "mariadb")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The figures that the page is made of."""
    text = (ROOT / "benchmarks" / "figures.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_page_has_no_figure_of_its_own() -> None:
    """Every figure comes out of a table that is made from the file."""
    assert [] == re.findall(r"\d[\d.,]*\s*(?:times|%|per cent|ms|µs|seconds|MB|x\b)", PAGE)


@pytest.mark.parametrize("table", ["times", "facts", "workers"])
@pytest.mark.parametrize("database", DATABASES)
def test_page_shows_each_table(database: str, table: str) -> None:
    """No database and no kind of figure is left out."""
    assert f"```{{benchmarks}} {table} {database}\n" in PAGE


@pytest.mark.parametrize("database", DATABASES)
def test_every_piece_of_work_was_measured(figures: dict[str, Any], database: str) -> None:
    """A run of a part alone is not what is shown."""
    expected = ["store_new", "store_existing", "read_one", "read_group", "chord_part", "expire"]
    assert expected == list(figures["databases"][database]["work"])


def test_figures_name_no_place(figures: dict[str, Any]) -> None:
    """They say what kind of machine it was, not which one, nor where things lie on it."""
    assert {"system", "architecture", "cores", "python"} == set(figures["machine"])
    assert "/" not in json.dumps(figures)
