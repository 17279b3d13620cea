"""Where the tests of the kit run, and what they need not look for again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import importlib_metadata
import pytest

#: Those that start processes.
IN_PROCESSES = {
    "test_another_process_can_decode",
    "test_another_process_can_read",
    "test_processes_are_like_threads",
}
#: What is installed stays the same; looking for it twice took most of the time of a quick test.
find_entry_points = cache(importlib_metadata.entry_points)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the suites' processes among the races, which run apart from the quick tests."""
    for item in items:
        if item.name in IN_PROCESSES:
            item.add_marker("races")


@pytest.fixture(scope="module", autouse=True)
def _entry_points_are_remembered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib_metadata, "entry_points", find_entry_points)
        yield
