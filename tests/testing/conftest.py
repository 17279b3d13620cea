"""Mark the kit's tests that start processes, and remember the installed entry points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import importlib_metadata
import pytest

#: The suites' tests that start processes.
IN_PROCESSES = {
    "test_another_process_can_decode",
    "test_another_process_can_read",
    "test_processes_are_like_threads",
}
#: Cached, because searching the installed distributions again took most of a quick test's time.
find_entry_points = cache(importlib_metadata.entry_points)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start processes as races, which run apart from the quick tests."""
    for item in items:
        if item.name in IN_PROCESSES:
            item.add_marker("races")


@pytest.fixture(scope="module", autouse=True)
def _entry_points_are_remembered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib_metadata, "entry_points", find_entry_points)
        yield
