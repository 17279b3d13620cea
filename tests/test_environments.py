"""Virtual environments made by uv and by pip work alike in tests."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.environments import build_wheels, install, new_environment
from tests.test_packaging import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLUGIN = ROOT / "tests" / "thirdparty" / "results-literal"


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_wheel_is_built_and_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    """This works in a new environment, with or without uv."""
    if tool == "pip":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif shutil.which("uv") is None:
        pytest.skip("no uv")
    shutil.copytree(PLUGIN, tmp_path / "sources")
    python = new_environment(tmp_path / "venv")

    wheels = build_wheels(python, tmp_path / "wheels", str(tmp_path / "sources"))
    install(python, "--no-deps", *wheels)

    named = "from importlib.metadata import version; print(version('results-literal'))"
    said = subprocess.run([python, "-c", named], check=True, capture_output=True, text=True)
    assert ("1.0\n", 1) == (said.stdout, len(wheels))
