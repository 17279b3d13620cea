"""Virtual environments that tests make: by uv where it is, which takes seconds, else by pip."""

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
    """Make a virtual environment of this Python in ``directory``; return its Python.

    What is asked of it later goes through the functions below: it may have no pip.
    """
    uv = shutil.which("uv")
    if uv:
        command = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable]
    else:
        command = [sys.executable, "-m", "venv"]
    subprocess.run([*command, str(directory)], check=True, timeout=300)
    return str(directory / "bin" / "python")


def install(python: str, *packages: str) -> None:
    """Install ``packages``; where there is no index skip, or fail if everything must be there."""
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
    """Build a wheel of each directory of ``sources`` in ``wheels``; return the wheels' paths.

    ``python`` is one of `new_environment`, which has setuptools from then on.
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
