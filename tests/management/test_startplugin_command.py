"""``manage.py celery_results startplugin``: the written plugin works; no file is overwritten."""

from __future__ import annotations

import json
import os
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_celery_results.management.startplugin_command import USAGE
from tests.environments import build_wheels, install, new_environment
from tests.test_packaging import copy_sources

KINDS = sorted(USAGE)


def start(*arguments: str) -> str:
    """Run the command; return its output."""
    output = StringIO()
    call_command("celery_results", "startplugin", *arguments, stdout=output)
    return output.getvalue()


def written(directory: Path) -> set[str]:
    """Return the names of the written files."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)) for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_distribution_is_written(tmp_path: Path, kind: str) -> None:
    """It has every file that a distribution needs, and no placeholder of the templates is left."""
    start("my-own", str(tmp_path / "new"), f"--kind={kind}")

    package = "django_celery_results_my_own"
    assert {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        f"{package}/__init__.py",
        f"{package}/plugin.py",
        f"{package}/py.typed",
        "tests/conftest.py",
        f"tests/test_{package}.py",
    } == written(tmp_path / "new")
    texts = [path.read_text() for path in (tmp_path / "new").rglob("*.*") if path.is_file()]
    assert [] == [text for text in texts if "PACKAGE" in text or "NAME" in text]


def test_usual_directory_has_the_name_of_the_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the current directory; the output says what to do next."""
    monkeypatch.chdir(tmp_path)

    said = start("mine")

    assert (tmp_path / "django-celery-results-mine" / "pyproject.toml").is_file()
    assert "Wrote the tweak 'mine' to django-celery-results-mine. To try it:" in said


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """This protects both a file of that name and the files in a directory."""
    (tmp_path / "kept").write_text("kept")

    for place in (tmp_path, tmp_path / "kept"):
        with pytest.raises(CommandError, match="exists and is not an empty directory"):
            start("mine", str(place))
    assert {"kept"} == written(tmp_path)


def test_empty_directory_is_filled(tmp_path: Path) -> None:
    """The user may have created the directory before."""
    start("mine", str(tmp_path))

    assert "README.md" in written(tmp_path)


@pytest.mark.parametrize(
    "name", ["", "Mine", "my_own", "-mine", "my--own", "9lives", "mine-", "../mine", "m" * 41]
)
def test_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    """The error shows a valid name."""
    with pytest.raises(CommandError, match="is not a valid plugin name; use lowercase letters"):
        start("--kind=tweak", "--", name, str(tmp_path / "new"))
    assert set() == written(tmp_path)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("serializer", "json"),
        ("serializer", "python-serialize"),  # the content type of pickle without "x-"
        ("coding", "gzip"),
        ("coding", "identity"),
        ("coding", "binary"),
        ("storage", "redis"),
        ("storage", "django-results"),
    ],
)
def test_name_that_would_not_load_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    """A written plugin works at once, and never takes the name of an existing one."""
    with pytest.raises(CommandError, match=f"already has a {kind} '{name}'; choose another"):
        start(name, str(tmp_path / "new"), f"--kind={kind}")
    assert set() == written(tmp_path)


def test_name_counts_for_its_kind_alone(tmp_path: Path) -> None:
    """A tweak may have the name of a serializer."""
    start("json", str(tmp_path / "new"))

    assert "README.md" in written(tmp_path / "new")


@pytest.mark.parametrize("place", ["file/new", "nowhere", "nowhere/new"])
def test_place_that_cannot_be_written_is_an_error(tmp_path: Path, place: str) -> None:
    """Such places are a path below a file, and a broken symbolic link."""
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("elsewhere")

    with pytest.raises(CommandError, match="Cannot write to "):
        start("mine", str(tmp_path / place))


def test_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    """The message says which plugin has the name."""
    with pytest.raises(CommandError, match=r"already: 'django-db' \(django-celery-results "):
        start("django-db", str(tmp_path))


# -- What is written works --------------------------------------------------------------

SITE = """
SECRET_KEY = "of a test"
INSTALLED_APPS = ["django_celery_results"]
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The Python of a new environment with a plugin of each kind, and the folder of the sources."""
    directory = tmp_path_factory.mktemp("startplugin")
    checkout = directory / "checkout"
    copy_sources(checkout)
    for kind in KINDS:
        start(f"my-{kind}", str(directory / kind), f"--kind={kind}")
    python = new_environment(directory / "venv")
    sources = [str(checkout), *(str(directory / kind) for kind in KINDS)]
    built = build_wheels(python, directory / "wheels", *sources)
    ours, *plugins = sorted(built, key=lambda path: "_my_" in path)
    install(python, f"{ours}[testing]", *(f"{plugin}[test]" for plugin in plugins))
    return python, directory


def run(command: list[str], directory: Path, **environment: str) -> str:
    """Run ``command`` outside the checkout; return its output."""
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_plugins_that_are_written_are_found(installed: tuple[str, Path], tmp_path: Path) -> None:
    """Each kind is found, from its wheel, in addition to the core's plugins."""
    python, _ = installed
    (tmp_path / "site_settings.py").write_text(SITE)
    command = [python, "-m", "django", "celery_results", "plugins", "--json"]
    said = run(command, tmp_path, DJANGO_SETTINGS_MODULE="site_settings", PYTHONPATH=str(tmp_path))

    infos: list[dict[str, Any]] = json.loads(said)
    found = {info["name"]: info["distribution"] for info in infos if info["status"] == "active"}
    expected = {f"my-{kind}": f"django-celery-results-my-{kind}" for kind in KINDS}
    assert expected == {name: found.get(name) for name in expected}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_plugin_that_is_written_passes_its_tests(installed: tuple[str, Path], kind: str) -> None:
    """The tests are the ones that the command wrote; all other written plugins are installed."""
    python, directory = installed
    said = run([python, "-m", "pytest", "-q"], directory / kind)

    assert " passed" in said.splitlines()[-1]
