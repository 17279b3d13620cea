"""The documentation shows all measured performance figures, and no others."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plugged, sample, tables

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "explanation" / "performance.md").read_text(encoding="utf-8")
DATABASES = ("sqlite", "postgresql", "mariadb")
PLUGINS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The figures from which the page is made."""
    text = (ROOT / "benchmarks" / "figures.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_page_has_no_figure_of_its_own() -> None:
    """Every figure on the page is in a table that is made from the file."""
    assert [] == re.findall(r"\d[\d.,]*\s*(?:times|%|per cent|ms|µs|seconds|MB|x\b)", PAGE)


@pytest.mark.parametrize("table", ["times", "facts", "durable", "workers", "plugins", "sizes"])
@pytest.mark.parametrize("database", DATABASES)
def test_page_shows_each_table(database: str, table: str) -> None:
    """The page leaves out no database and no kind of figure."""
    assert f"```{{benchmarks}} {table} {database}\n" in PAGE


@pytest.mark.parametrize("part", ["databases", "durable"])
@pytest.mark.parametrize("database", DATABASES)
def test_every_piece_of_work_was_measured(
    figures: dict[str, Any], database: str, part: str
) -> None:
    """The page does not show an incomplete run."""
    expected = ["store_new", "store_existing", "read_one", "read_group", "chord_part", "expire"]
    assert expected == list(figures[part][database]["work"])


def test_figures_name_no_place(figures: dict[str, Any]) -> None:
    """They describe the kind of machine, but neither name it nor its paths."""
    assert {"system", "architecture", "cores", "python"} == set(figures["machine"])
    assert "/" not in json.dumps(figures)


# -- Plugins -------------------------------------------------------------------------


def test_every_plugin_has_its_settings() -> None:
    """A new plugin in the folder has to be measured too."""
    assert PLUGINS == list(plugged.OPTIONS)


@pytest.mark.parametrize("database", DATABASES)
def test_every_plugin_was_measured(figures: dict[str, Any], database: str) -> None:
    """Each was measured alone and with all others, for storing and reading."""
    work = figures["plugins"][database]["work"]
    expected = [*PLUGINS, plugged.ALL]
    assert {"store_new": expected, "read_one": expected} == {
        name: list(found["to_core"]) for name, found in work.items()
    }


@pytest.mark.parametrize("database", DATABASES)
def test_plugins_statements_are_known(figures: dict[str, Any], database: str) -> None:
    """``labels`` adds a statement to a store; ``offload`` adds one to read the replaced row."""
    work = figures["plugins"][database]["work"]
    more = {"labels": 2, "offload": 2, plugged.ALL: 3}
    expected = {kind: more.get(kind, 1) for kind in [plugged.CORE, *PLUGINS, plugged.ALL]}
    assert [expected, dict.fromkeys(expected, 1)] == [
        work[name]["statements"] for name in ("store_new", "read_one")
    ]


@pytest.mark.parametrize("database", DATABASES)
def test_every_size_was_measured(figures: dict[str, Any], database: str) -> None:
    """Or the file says that the server does not accept that size."""
    found = figures["plugins"][database]
    assert list(sample.SIZES) == [*found["sizes"], *found["left_out"]]


def test_size_that_the_server_does_not_take_is_said() -> None:
    """Its row is left without figures."""
    expected = [("5 MB", "", *["more than the server takes"] * 4)]
    assert expected == tables.size_rows({"sizes": {}, "left_out": ["5 MB"]})


@pytest.mark.parametrize("database", DATABASES)
def test_large_results_leave_the_table(figures: dict[str, Any], database: str) -> None:
    """``offload`` moves results to blobs; ``zstd`` makes them smaller."""
    for size, found in figures["plugins"][database]["sizes"].items():
        table, blobs = found["table"], found["blobs"]
        assert (size != "1 kB") == (table["offload"] < blobs["offload"])
        assert table["zstd"] < 1
        assert [0, 0] == [blobs[plugged.CORE], blobs["zstd"]]


@pytest.mark.parametrize("size", sample.SIZES.values())
def test_report_has_its_size_and_compresses_moderately(size: int) -> None:
    """It exceeds its size by one row at most, and is the same in every run."""
    text = json.dumps(sample.report(size))
    sample.report.cache_clear()
    assert text == json.dumps(sample.report(size))
    assert size <= len(text) < size + 400
    assert 2 < len(text) / len(zlib.compress(text.encode())) < 6
