"""The suites find faults: a broken plugin fails the tests that should find it, and no others.

The plugins are in the modules ``broken_…`` of this folder. They are tested as an author tests a
plugin: in a separate run of pytest, with the kit's settings.
"""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HERE = Path(__file__).resolve().parent
CONFTEST = 'pytest_plugins = ["django_celery_results.testing.fixtures"]\n'
INI = """\
[pytest]
DJANGO_SETTINGS_MODULE = django_celery_results.testing.settings
django_find_project = false
filterwarnings = error
"""
KINDS = sorted(path.stem for path in HERE.glob("broken_*.py"))


def outcome(module: str, directory: Path) -> str:
    """Return pytest's output for the plugins in ``module``, with one line for each failure."""
    shutil.copy(HERE / f"{module}.py", directory / "test_broken.py")
    return run_pytest(directory, PYTHONPATH=str(STORAGE))


def run_pytest(directory: Path, **environment: str) -> str:
    """Return pytest's output for the tests in ``directory``, set up as an author's would be."""
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "pytest.ini").write_text(INI)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rfE", "--tb=short", "-p", "no:randomly"],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stdout + done.stderr


SHOWN = HERE.parent.parent / "docs" / "examples"
#: The directory of the storage that the broken storages are made from.
STORAGE = HERE.parent.parent / "examples" / "sqlite-results"


def test_tests_that_the_documentation_shows_pass(tmp_path: Path) -> None:
    """Each documented plugin is tested as its page says."""
    for test in SHOWN.glob("tests/test_*.py"):
        shutil.copy(test, tmp_path)

    said = run_pytest(tmp_path, PYTHONPATH=str(SHOWN))

    assert re.search(r"^=+ \d+ passed, \d+ skipped in ", said, re.MULTILINE), said


@pytest.mark.parametrize("module", KINDS)
def test_faults_are_found(module: str, tmp_path: Path) -> None:
    """Each fault is found by the tests that its class names in ``finds``."""
    said = outcome(module, tmp_path)
    found = set(re.findall(r"^(?:FAILED|ERROR) \S+::(Test\w+)::(test_\w+)", said, re.MULTILINE))

    classes = inspect.getmembers(import_module(f"tests.testing.{module}"), inspect.isclass)
    expected = {
        (name, test) for name, one in classes if hasattr(one, "finds") for test in one.finds
    }
    assert expected == found, said
