"""The virtual environments of the contenders: the same Python, Django, Celery and drivers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from . import servers

__all__ = ["DATABASES", "PLUGGED", "RELEASE", "environment_of", "pythons", "workplace"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: The release that this checkout is compared with.
RELEASE = "2.6.0"
#: The contender that is this checkout with the first-party plugins.
PLUGGED = "plugins"
#: The directory of each environment, next to that of the checkout.
PLACES = {"ours": "ours", RELEASE: "release", PLUGGED: "plugins"}

SHARED = ["Django==5.2.*", "celery[redis]==5.7.*", "SQLAlchemy"]
#: The drivers of each database; SQLite's is part of Python.
DATABASES = {"sqlite": [], "postgresql": ["psycopg[binary]"], "mariadb": ["mysqlclient"]}


def pythons(
    databases: list[str], install: bool = True, kinds: Sequence[str] = ("ours", RELEASE)
) -> dict[str, Path]:
    """Return the Python of each kind of environment, with everything installed.

    If ``install`` is false, the existing environments are used unchanged.
    """
    found = {kind: ROOT / f".venv-bench-{PLACES[kind]}" / "bin" / "python" for kind in kinds}
    if install:
        packages = [*SHARED, *(driver for name in databases for driver in DATABASES[name])]
        for kind, python in found.items():
            if not python.exists():
                venv.create(python.parent.parent, with_pip=True)
            _pip(python, "--upgrade", *packages)
            _install(kind, python)
    return found


def _install(kind: str, python: Path) -> None:
    """Install the packages to measure."""
    if kind == RELEASE:
        _pip(python, f"django-celery-results=={RELEASE}")
        return
    _install_anew(python, ROOT)
    if kind == PLUGGED:
        # Build from copies: a build leaves files behind, which the next build would include.
        with TemporaryDirectory(prefix="results-bench-") as name:
            copies = [
                shutil.copytree(folder.parent, Path(name) / folder.parent.name)
                for folder in (ROOT / "plugins").glob("*/pyproject.toml")
            ]
            _install_anew(python, *copies)


def _install_anew(python: Path, *folders: Path) -> None:
    _pip(python, *map(str, folders))
    # pip would not install the same version again without this.
    _pip(python, "--force-reinstall", "--no-deps", *map(str, folders))


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "--quiet", *arguments], check=True)


@contextmanager
def workplace(python: Path, database: str) -> Iterator[Path]:
    """Make a directory from which contenders import these modules, but not the checkout.

    It also holds SQLite's files. The directory is in memory if the system has such a place, and
    the servers' commits do not wait for the disk, unless ``--durable`` is given.
    """
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() and not servers.durable() else None
    with TemporaryDirectory(prefix="results-bench-", dir=parent) as name:
        directory = Path(name)
        (directory / "benchmarks").symlink_to(HERE)
        if servers.durable():
            yield directory
            return
        with _relaxed_server(python, database, directory):
            yield directory


@contextmanager
def _relaxed_server(python: Path, database: str, directory: Path) -> Iterator[None]:
    """Relax the server from a process that has the driver, and restore the server at the end."""
    with subprocess.Popen(
        [python, "-m", "benchmarks.relaxed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=directory,
        env=environment_of("relaxed", database, directory),
    ) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit(f"the database server cannot be used: {process.wait()}")
        yield


def environment_of(kind: str, database: str, directory: Path) -> dict[str, str]:
    """Return the environment variables of a contender's process, which ``site.py`` reads."""
    word = "".join(letter for letter in kind if letter.isalnum())
    contender = {
        "kind": kind,
        "engine": database,
        "name": f"results_bench_{word}_{os.getpid()}",
        "directory": str(directory),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {
        **inherited,
        "BENCHMARK": json.dumps(contender),
        "DJANGO_SETTINGS_MODULE": "benchmarks.site",
        # The plugin prometheus counts here, as in a worker with several processes.
        "PROMETHEUS_MULTIPROC_DIR": str(directory),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
