"""The exact parts of the plugins' benchmark, with its own processes on the tests' server."""

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

# Each of the five processes creates a database.
pytestmark = pytest.mark.timeout(300)

Contenders = Mapping[str, Process]


@pytest.fixture(scope="module")
def contenders() -> Iterator[Contenders]:
    """Processes that each have different plugins active."""
    kinds = dict.fromkeys([CORE, "labels", "offload", "zstd", ALL], PYTHON)
    with pytest.MonkeyPatch.context() as patch:
        # The server's settings stay unchanged, because other tests use it.
        patch.setenv(servers.DURABLE, "1")
        with (
            workplace(PYTHON, DATABASE) as directory,
            running(kinds, DATABASE, directory) as found,
        ):
            yield found


def test_each_plugin_adds_its_statements(contenders: Contenders) -> None:
    """Labels add one statement; offload first reads the row, whose blobs may be replaced."""
    seen = {kind: one.ask("probe", "store_new", 5) for kind, one in contenders.items()}
    expected = {CORE: 1, "labels": 2, "offload": 2, "zstd": 1, ALL: 3}
    assert expected == {kind: one["statements"] / one["tasks"] for kind, one in seen.items()}


def test_bytes_are_where_they_belong(contenders: Contenders) -> None:
    """In the table without offload, and fewer with zstd; otherwise in blobs."""
    kinds = (CORE, "zstd", "offload")
    core, zstd, offload = (contenders[kind].ask("weigh", "store 100 kB", ROWS) for kind in kinds)
    assert 0 < zstd["table"] < core["table"]
    assert offload["table"] < core["table"] / 4
    assert [0, 0] == [core["blobs"], zstd["blobs"]]
    assert offload["blobs"] >= ROWS * sample.SIZES["100 kB"]


def test_all_plugins_store_and_read(contenders: Contenders) -> None:
    """Reading raises an error if one of the nine plugins cannot decode its contents."""
    taken = [contenders[ALL].ask("measure", work, 2) for work in ("store 1 kB", "read 1 kB")]
    assert [["seconds"], ["seconds"]] == [list(one) for one in taken]
