"""Each first-party plugin as published: its wheel, installed with only the core's wheel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.environments import build_wheels, install, new_environment
from tests.settings import sqlite
from tests.site import Site
from tests.test_packaging import ROOT, copy_sources

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)

NAMES = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))
CORE = "django-celery-results"
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

each_plugin = pytest.mark.parametrize("name", NAMES)


@each_plugin
def test_folder_has_what_a_distribution_needs(name: str) -> None:
    """plugins/README.md lists what it needs, and the documentation has a page for it."""
    package = f"django_celery_results_{name}"
    wanted = ["pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"]
    wanted += [f"{package}/{file}" for file in ("__init__.py", "py.typed")]
    missing = [file for file in wanted if not (ROOT / "plugins" / name / file).is_file()]
    page = ROOT / "docs" / "plugins" / f"{name}.md"
    assert ([], True) == (missing, page.is_file())


@each_plugin
def test_names_of_tests_are_the_plugins_own(name: str) -> None:
    """Both pytest and mypy identify each of these test modules by its name alone."""
    modules = [path.name for path in (ROOT / "plugins" / name / "tests").rglob("test_*.py")]
    assert modules
    assert [] == [module for module in modules if not module.startswith(f"test_{name}_")]


@each_plugin
def test_coverage_counts_the_package(name: str) -> None:
    """The settings name its source folder and its installed package."""
    package = f"django_celery_results_{name}"
    wanted = [
        f'    "{package}",\n',
        f'"plugins/{name}/{package}"',
        f'"*/site-packages/{package}"',
    ]
    assert [] == [text for text in wanted if text not in PROJECT]


# -- Installed -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheels of the core and of every plugin."""
    directory = tmp_path_factory.mktemp("plugins")
    checkout = directory / "checkout"
    copy_sources(checkout)
    sources = [str(checkout), *(str(checkout / "plugins" / name) for name in NAMES)]
    build_wheels(new_environment(directory / "venv"), directory / "wheels", *sources)
    return directory / "wheels"


def plugins_of(wheels: Path, directory: Path, *names: str) -> dict[str, Any]:
    """The status, by name, of the plugins on a site with the core and the plugins ``names``."""
    packages = ["django_celery_results", *(f"django_celery_results_{name}" for name in names)]
    python = new_environment(directory / "venv")
    install(python, *(str(file) for one in packages for file in wheels.glob(f"{one}-*.whl")))
    site = Site(directory, sqlite("plugins"), python=python)
    found = json.loads(site.manage("celery_results", "plugins", "--all", "--json"))
    return {one["name"]: one["status"] for one in found if one["distribution"] != CORE}


@pytest.mark.slow
def test_core_alone_has_no_plugin(wheels: Path, tmp_path: Path) -> None:
    """The core works without any plugin but its built-in ones."""
    assert {} == plugins_of(wheels, tmp_path)


@pytest.mark.slow
@each_plugin
def test_plugin_installed_alone_is_active(wheels: Path, tmp_path: Path, name: str) -> None:
    """Its wheel requires everything that it needs."""
    assert {name: "active"} == plugins_of(wheels, tmp_path, name)
