"""The measurement that the documentation shows, and what the page says of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import serializers

if TYPE_CHECKING:
    import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "plugins" / "msgspec.md"


def test_benchmark_prints_a_ratio_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    """To write and to read it, with each serializer."""
    serializers.main(["--rounds", "1"])
    _, *lines = capsys.readouterr().out.strip().splitlines()
    expected = [[name, 4] for name in serializers.PAYLOADS]
    assert expected == [
        [re.sub(r"(\s+\d+\.\d\d){4}$", "", line), len(re.findall(r"\d+\.\d\d", line))]
        for line in lines
    ]


def test_page_shows_a_row_for_each_value() -> None:
    """By the names that the command prints."""
    text = PAGE.read_text(encoding="utf-8")
    assert [] == [name for name in serializers.PAYLOADS if f"| {name} | 0." not in text]
