"""The measurement in the documentation, and its page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import figures, serializers

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "plugins" / "msgspec.md"
FIGURES = ROOT / "benchmarks" / "figures.json"


def test_benchmark_prints_a_ratio_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    """For writing and reading, with each serializer."""
    serializers.main(["--rounds", "1"])
    _, *lines = capsys.readouterr().out.strip().splitlines()
    expected = [[name, 4] for name in serializers.PAYLOADS]
    assert expected == [
        [re.sub(r"(\s+\d+\.\d\d){4}$", "", line), len(re.findall(r"\d+\.\d\d", line))]
        for line in lines
    ]


def test_page_shows_a_row_for_each_value() -> None:
    """The table is generated from the file of figures, which has all values."""
    assert "```{benchmarks} serializers\n" in PAGE.read_text(encoding="utf-8")
    assert list(serializers.PAYLOADS) == list(figures.load(FIGURES)["serializers"])
