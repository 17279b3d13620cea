"""Third-party plugins: built, installed and found, or listed in the settings.

The distributions are in tests/thirdparty: a serializer, a content coding, a tweak of storing
and a complete storage. None of them subclasses a class of Celery.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.environments import build_wheels, install, new_environment
from tests.test_packaging import ROOT, VERSION, copy_sources

pytestmark = [pytest.mark.alike, pytest.mark.timeout(900)]

THIRDPARTY = ROOT / "tests" / "thirdparty"
DISTRIBUTIONS = ("results-literal", "results-checksum", "results-redact", "results-mystore")
BUILT_IN = [
    [name, "entry point", "django-celery-results", VERSION]
    for name in ("codec", "django-cache", "django-db")
]

Seen = dict[str, Any]


def run(
    command: list[str], directory: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in ``directory``, outside the checkout."""
    return subprocess.run(
        command,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def exercise(python: str, backend: str, directory: Path, way: str, **environment: str) -> Seen:
    """Use the plugins on a new site in ``directory``; return its output."""
    command = [python, "-W", "error", str(THIRDPARTY / "exercise.py")]
    done = run([*command, backend, str(directory), way], directory, **environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    seen: Seen = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of a new environment with the wheels of this project and of the third parties."""
    directory = tmp_path_factory.mktemp("thirdparty")
    checkout = directory / "checkout"
    copy_sources(checkout)
    sources = [str(checkout), *(str(checkout / "tests/thirdparty" / n) for n in DISTRIBUTIONS)]
    python = new_environment(directory / "venv")
    install(python, *build_wheels(python, directory / "wheels", *sources))
    return python


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(("entry-points", "mystore"), marks=pytest.mark.slow),
        pytest.param(("entry-points", "django-db"), marks=pytest.mark.slow),
        ("settings", "mystore"),
        ("settings", "django-db"),
    ],
    ids="-".join,
)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """The output of a site that uses the plugins in one way, on one storage."""
    way, storage = request.param
    directory = tmp_path_factory.mktemp("site")
    place = f"{directory}/results.sqlite3" if storage == "mystore" else ""
    environment = {}
    if way == "settings":
        # The packages can be imported but are not installed, so they lack entry points.
        environment["PYTHONPATH"] = ":".join(str(THIRDPARTY / name) for name in DISTRIBUTIONS)
        python, backend = sys.executable, f"django-results+{storage}://{place}"
    else:
        python, backend = request.getfixturevalue("installed"), f"{storage}://{place}"
    return {**exercise(python, backend, directory, way, **environment), "way": way}


def test_plugins_are_found_in_order(seen: Seen) -> None:
    """Plugins from settings are in the listed order, those of distributions in that of names."""
    if seen["way"] == "settings":
        names = ("literal", "checksum", "redact", "mystore")
        expected = [[name, "settings", "", ""] for name in names]
    else:
        names = ("checksum", "literal", "mystore", "redact")
        expected = [[name, "entry point", f"results-{name}", "1.0"] for name in names]
    assert [*expected, *BUILT_IN] == seen["plugins"]


def test_contributed_serializer_keeps_what_json_does_not(seen: Seen) -> None:
    """Numeric keys and tuples are read unchanged, and the row names the serializer."""
    assert ("{1: (2, None)}", "text/x-python-literal") == (seen["value"], seen["content_type"])


def test_contributed_coding_is_applied_and_undone(seen: Seen) -> None:
    """The row names the coding, and reading the results proves that it was undone."""
    assert "utf-8, crc32" == seen["content_encoding"]


def test_before_store_of_a_third_party_amends(seen: Seen) -> None:
    """The secret never reaches the storage."""
    assert "***" == seen["secret"]


def test_wrapper_of_a_third_party_goes_around_the_storage(seen: Seen) -> None:
    """The change that the wrapper made to the task is stored, by any storage."""
    assert "nobody, redacted" == seen["worker"]


def test_none_is_stored_and_read(seen: Seen) -> None:
    """A task that returns None has a result like any other task."""
    assert "None" == seen["none"]


def test_failures_are_stored_and_read(seen: Seen) -> None:
    """The exception has its class and arguments when it is read."""
    assert "LookupError('nothing there')" == seen["failure"]


def test_groups_are_joined_and_restored(seen: Seen) -> None:
    """All results of a group are found, from its own object and from a restored one."""
    assert ([0, 2, 4], [0, 2, 4]) == (seen["group"], seen["restored"])


def test_chords_send_their_body(seen: Seen) -> None:
    """The body gets every part of the header."""
    assert 10 == seen["chord"]


def test_chords_of_tasks_that_keep_no_result_send_their_body(seen: Seen) -> None:
    """The storage keeps the parts for the body."""
    assert 14 == seen["quiet_chord"]


def test_chord_with_a_failed_part_fails(seen: Seen) -> None:
    """The error names the failed part."""
    assert "raised LookupError('nothing there')" in seen["chord_error"].replace('"', "'")


def test_expired_results_are_gone(seen: Seen) -> None:
    """Celery's cleanup reaches the storage."""
    assert ["FAILURE", "PENDING"] == seen["expired"]


def test_forgotten_results_are_gone(seen: Seen) -> None:
    """A forgotten task is unknown."""
    assert "PENDING" == seen["forgotten"]


def test_backend_is_generic_for_a_third_party(seen: Seen) -> None:
    """Its own entry point and ``django-results+…`` lead to the same class."""
    generic = "django_celery_results.backends.base.ResultBackend"
    database = "django_celery_results.backends.database.DatabaseBackend"
    assert seen["backend"] in {generic, database}
