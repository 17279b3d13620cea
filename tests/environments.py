"""Virtual environments that tests create, with uv if installed (it takes seconds), else pip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import settings

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["build_wheels", "install", "new_environment"]


def new_environment(directory: Path) -> str:
    """Create a virtual environment of this Python in ``directory``; return its Python.

    Use the functions below to install packages there: the environment may lack pip.
    """
    uv = shutil.which("uv")
    if uv:
        command = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "venv"]
    subprocess.run([*command, str(directory)], check=True, timeout=300)
    return str(directory / "bin" / "python")


def install(python: str, *packages: str) -> None:
    """Install ``packages``; without a package index, skip the test, or fail if all must run."""
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv else [python, "-m", "pip"]
    chosen = ["--python", python] if uv else []
    command = [*pip, "install", "--quiet", *chosen, *packages]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    if done.returncode:
        _unavailable(f"{' '.join(packages)} cannot be installed: {done.stderr.strip()}")


def _unavailable(reason: str) -> None:
    if settings.REQUIRE_SERVICES:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def build_wheels(python: str, wheels: Path, *sources: str) -> list[str]:
    """Build a wheel of each directory in ``sources`` in ``wheels``; return the wheels' paths.

    ``python`` is from `new_environment`; setuptools is installed there and stays.
    """
    install(python, "setuptools>=77", "build")
    wheels.mkdir()
    for source in sources:
        build = [python, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels)]
        done = subprocess.run(
            [*build, source], cwd=wheels, capture_output=True, text=True, timeout=800, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return sorted(map(str, wheels.glob("*.whl")))
