"""import-linter holds the arrows between modules: each contract is kept, and can be broken."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import django_celery_results
from tests.test_packaging import ROOT

pytestmark = pytest.mark.alike

LINTER = Path(sys.executable).with_name("lint-imports")

STORAGES = "A storage knows neither Celery's side nor the built-in codec"
SEPARATE = "The built-in storages do not know each other"
BACKENDS = "Celery's side knows no storage"
REGISTRY = "The registry has no private door for a built-in plugin"
SQL = "The SQL tools know nothing of results"
CONTRACT = "The contract with plugins imports nothing that is built on it"
CIRCLES = "No imports go in a circle, between modules or rooms"


class Outcome(NamedTuple):
    """The names of the broken contracts, and everything that the linter printed, on one line."""

    broken: set[str]
    output: str


def lint(checkout: Path) -> Outcome:
    """Check the copy of the package in ``checkout``."""
    command = [str(LINTER), "--no-cache"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    # The number of ignored imports may follow.
    broken = set(re.findall(r"^(.+) BROKEN\b", done.stdout, re.MULTILINE))
    assert "Contracts:" in done.stdout, done.stderr
    assert done.returncode == int(bool(broken))
    return Outcome(broken, " ".join(done.stdout.split()))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory with copies of the installed package's modules and of the contracts."""
    package = Path(django_celery_results.__file__).parent
    others = shutil.ignore_patterns("__pycache__", "locale", "static", "templates")
    shutil.copytree(package, tmp_path / "django_celery_results", ignore=others)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(checkout: Path, importer: str, imported: str) -> str:
    """Import one module in another, for types alone; return the import as the linter prints it."""
    names = [f"django_celery_results.{name}" for name in (importer, imported)]
    path = checkout.joinpath(*names[0].split(".")).with_suffix(".py")
    path.write_text(f"{path.read_text()}\nif TYPE_CHECKING:\n    import {names[1]}\n")
    return " -> ".join(names)


def test_the_package_keeps_every_contract(checkout: Path) -> None:
    """They stand in ``pyproject.toml``."""
    assert set() == lint(checkout).broken


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [
        (STORAGES, "storages.database.rows", "backends.translation"),
        (STORAGES, "storages.cache.metas", "codec.fast_json"),
        (SEPARATE, "storages.cache.writes", "storages.database.rows"),
        (SEPARATE, "storages.database.rows", "storages.cache.writes"),
        (BACKENDS, "backends.url", "storages.cache.metas"),
        (REGISTRY, "registry.catalogue", "codec.fast_json"),
        (REGISTRY, "registry.catalogue", "storages.cache.metas"),
        (SQL, "sql.text", "records"),
        (SQL, "sql.clock", "conf"),
        (SQL, "sql.upserts", "managers"),
        (SQL, "sql.errors", "registry.calling"),
        (CONTRACT, "contributions", "sql.text"),
        (CONTRACT, "exceptions", "logs"),
        (CONTRACT, "hookspecs", "registry.loading"),
        (CONTRACT, "options", "utils"),
        (CONTRACT, "records", "conf"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    checkout: Path, contract: str, importer: str, imported: str
) -> None:
    """Even for types alone; the linter names the import."""
    planted = plant(checkout, importer, imported)

    found = lint(checkout)

    assert contract in found.broken
    assert planted in found.output


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("managers", "models"),
        ("conf", "registry.loading"),
        ("storages.database.rows", "storages.database.storage"),
    ],
)
def test_a_circle_of_imports_is_refused(checkout: Path, importer: str, imported: str) -> None:
    """Between modules of the root, between a module and a room, and within a room."""
    plant(checkout, importer, imported)

    assert {CIRCLES} == lint(checkout).broken
