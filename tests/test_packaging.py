"""The distributions contain everything that the package needs, and nothing more."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import NamedTuple

import pytest

import django_celery_results

pytestmark = pytest.mark.alike

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "django_celery_results"
VERSION = django_celery_results.__version__
STEM = f"{PACKAGE}-{VERSION}"


class Built(NamedTuple):
    """The sources of a build, and the names of the files in the distributions that it made."""

    sources: set[str]
    wheel: set[str]
    sdist: set[str]
    metadata: PathDistribution


def copy_sources(target: Path) -> set[str]:
    """Copy the files that git tracks or would add, to leave out the leftovers of builds."""
    # In CI, the checkout may belong to another user than the one running the tests.
    git = ["git", "-c", f"safe.directory={ROOT}"]
    listing = [*git, "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    sources = {name for name in names.splitlines() if (ROOT / name).is_file()}
    for name in sources:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    return sources


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A source distribution, and the wheel built from it."""
    checkout, dist = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("dist")
    sources = copy_sources(checkout)
    command = [sys.executable, "-m", "build", "--outdir", str(dist), str(checkout)]
    subprocess.run(command, cwd=dist, check=True, capture_output=True)
    wheel = zipfile.ZipFile(dist / f"{STEM}-py3-none-any.whl")
    with tarfile.open(dist / f"{STEM}.tar.gz") as sdist:
        members = {member.name for member in sdist.getmembers() if member.isfile()}
    return Built(
        sources=sources,
        wheel=set(wheel.namelist()),
        sdist={name.removeprefix(f"{STEM}/") for name in members},
        metadata=PathDistribution(zipfile.Path(wheel, f"{STEM}.dist-info/")),
    )


def test_wheel_holds_the_whole_package(built: Built) -> None:
    """Each module, template, static file and catalogue of the checkout is in the wheel."""
    package = {name for name in built.sources if name.startswith(f"{PACKAGE}/")}

    assert set() == package - built.wheel


def test_wheel_holds_nothing_but_the_package(built: Built) -> None:
    """It contains no tests, no documentation, and no stray top-level module."""
    top = {name.split("/")[0] for name in built.wheel}

    assert {PACKAGE, f"{STEM}.dist-info"} == top


def test_wheel_says_that_it_is_typed(built: Built) -> None:
    """The marker py.typed makes type checkers read the annotations (PEP 561)."""
    assert f"{PACKAGE}/py.typed" in built.wheel


def test_wheel_holds_compiled_catalogues(built: Built) -> None:
    """Each of the four languages has its compiled catalogue."""
    found = {name for name in built.wheel if name.endswith(".mo")}

    languages = ("es", "pt_BR", "ru", "zh_Hans")
    assert {f"{PACKAGE}/locale/{code}/LC_MESSAGES/django.mo" for code in languages} == found


def test_wheel_registers_celery_backends(built: Built) -> None:
    """Celery finds both backends under the names of 2.6, and the generic one."""
    found = {
        (entry.name, entry.value)
        for entry in built.metadata.entry_points
        if entry.group == "celery.result_backends"
    }

    assert {
        ("django-db", "django_celery_results.backends:DatabaseBackend"),
        ("django-cache", "django_celery_results.backends:CacheBackend"),
        ("django-results", "django_celery_results.backends:ResultBackend"),
    } == found


def test_wheel_registers_the_built_in_plugins(built: Built) -> None:
    """The built-in plugins use the same entry points as third-party plugins."""
    found = {e.name for e in built.metadata.entry_points if e.group == "django_celery_results"}

    assert {"codec", "django-db", "django-cache"} == found


def test_metadata_names_version_python_and_licence(built: Built) -> None:
    """A package index shows the version, the supported Pythons and the licence."""
    metadata = built.metadata.metadata

    found = [metadata[key] for key in ("Name", "Version", "Requires-Python", "License-Expression")]

    assert ["django-celery-results", VERSION, ">=3.10", "BSD-3-Clause"] == found


def test_metadata_requires_four_distributions(built: Built) -> None:
    """Without extras, an installation contains only what the core imports."""
    found = {line for line in built.metadata.requires or [] if "extra ==" not in line}

    assert {"Django>=5.2", "celery<6,>=5.5", "importlib-metadata>=6.0", "pluggy>=1.6"} == found


def test_wheel_carries_the_licence(built: Built) -> None:
    """The licence has to be part of every copy."""
    assert f"{STEM}.dist-info/licenses/LICENSE" in built.wheel


def test_sdist_holds_what_a_build_needs(built: Built) -> None:
    """It contains the package and its metadata, and no tests."""
    top = {name.split("/")[0] for name in built.sdist}

    described = {"CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "setup.cfg"}
    assert {PACKAGE, f"{PACKAGE}.egg-info", "pyproject.toml", *described} == top
