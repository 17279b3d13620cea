"""What is exact in the measurement of the plugins: its own processes, on the tests' server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks import sample, servers
from benchmarks.environments import workplace
from benchmarks.plugged import ALL, CORE
from benchmarks.process import Process, running

DATABASE = os.environ.get("RESULTS_DATABASE", "sqlite")
PYTHON = Path(sys.executable)
ROWS = 40

# Five processes make a database each.
pytestmark = pytest.mark.timeout(300)

Contenders = Mapping[str, Process]


@pytest.fixture(scope="module")
def contenders() -> Iterator[Contenders]:
    """Processes of which each has other plugins active."""
    kinds = dict.fromkeys([CORE, "labels", "offload", "zstd", ALL], PYTHON)
    with pytest.MonkeyPatch.context() as patch:
        # The server's settings stay as they are: others use it.
        patch.setenv(servers.DURABLE, "1")
        with (
            workplace(PYTHON, DATABASE) as directory,
            running(kinds, DATABASE, directory) as found,
        ):
            yield found


def test_each_plugin_adds_its_statements(contenders: Contenders) -> None:
    """Labels are stored by one, and before a store the row is read for the sake of its blobs."""
    seen = {kind: one.ask("probe", "store_new", 5) for kind, one in contenders.items()}
    expected = {CORE: 1, "labels": 2, "offload": 2, "zstd": 1, ALL: 3}
    assert expected == {kind: one["statements"] / one["tasks"] for kind, one in seen.items()}


def test_bytes_are_where_they_belong(contenders: Contenders) -> None:
    """In the table without a plugin and with ``zstd``, where they are fewer; else in blobs."""
    kinds = (CORE, "zstd", "offload")
    core, zstd, offload = (contenders[kind].ask("weigh", "store 100 kB", ROWS) for kind in kinds)
    assert 0 < zstd["table"] < core["table"]
    assert offload["table"] < core["table"] / 4
    assert [0, 0] == [core["blobs"], zstd["blobs"]]
    assert offload["blobs"] >= ROWS * sample.SIZES["100 kB"]


def test_all_plugins_store_and_read(contenders: Contenders) -> None:
    """What the nine have coded comes back, or the read would raise."""
    taken = [contenders[ALL].ask("measure", work, 2) for work in ("store 1 kB", "read 1 kB")]
    assert [["seconds"], ["seconds"]] == [list(one) for one in taken]
