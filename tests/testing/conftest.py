"""Where the tests of the kit run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the suite's processes among the races, which run apart from the quick tests."""
    for item in items:
        if item.name == "test_processes_are_like_threads":
            item.add_marker("races")
