"""A test without its service is skipped or fails, and never counts as passed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

from tests import conftest, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a service at an address where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    monkeypatch.setitem(conftest.ADDRESSES, "absent", address)
    return "absent"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a service that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(conftest.ADDRESSES, "listening", server.getsockname())
        yield "listening"


@pytest.fixture(autouse=True)
def _forget_answers() -> Iterator[None]:
    """Check the services again in each test."""
    conftest.missing_service.cache_clear()
    yield
    conftest.missing_service.cache_clear()


def test_missing_service_skips(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer can run the tests without every service."""
    monkeypatch.setattr(settings, "REQUIRE_SERVICES", False)

    with pytest.raises(pytest.skip.Exception, match="no absent at"):
        conftest.require_service(absent)


def test_missing_required_service_fails(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With REQUIRE_SERVICES=1, as in CI, no test may be left out."""
    monkeypatch.setattr(settings, "REQUIRE_SERVICES", True)

    with pytest.raises(pytest.fail.Exception, match="no absent at"):
        conftest.require_service(absent)


def test_present_service_lets_the_test_run(listening: str) -> None:
    """If the service answers, the test is neither skipped nor failed."""
    assert conftest.missing_service(listening) is None


@pytest.mark.django_db
def test_caches_of_the_test_site_answer(cache_alias: str) -> None:
    """Each cache of the tests returns the value that was put into it."""
    caches[cache_alias].set("answer", 42, timeout=60)

    assert caches[cache_alias].get("answer") == 42


# -- What was skipped ----------------------------------------------------------------


def test_skipped_tests_are_counted_by_service() -> None:
    """The service that most of them need comes first; other reasons are left out."""
    reasons = [
        "Skipped: no memcached at 127.0.0.1:11211: refused",
        "Skipped: no redis at 127.0.0.1:6379: refused",
        "Skipped: no redis at localhost:6379: timed out",
        "Skipped: SQLite has no server",
    ]

    assert (
        "3 tests were skipped: 2 need Redis, 1 needs Memcached. Start them (`bash .ci/services "
        "redis memcached`) or set REDIS_URL, MEMCACHED_LOCATION; see README."
    ) == conftest.skipped_for_services(reasons)


def test_one_skipped_test_is_counted_in_the_singular() -> None:
    """A line that people read has no "1 tests"."""
    line = conftest.skipped_for_services(["Skipped: no rabbitmq at 127.0.0.1:5672: refused"])

    assert line.startswith("1 test was skipped: 1 needs RabbitMQ. ")


@pytest.mark.parametrize("reasons", [[], ["Skipped: SQLite has no server"]])
def test_no_line_when_every_service_was_there(reasons: list[str]) -> None:
    """A test that does not apply to this database is not a missing service."""
    assert "" == conftest.skipped_for_services(reasons)


@pytest.mark.parametrize("service", conftest.ADDRESSES)
def test_each_service_has_a_title_and_a_variable(service: str, absent: str) -> None:
    """The reason of a skip is recognized, whichever service is missing."""
    reason = str(conftest.missing_service(absent)).replace(absent, service)

    title, variable = conftest.SERVICES[service]
    line = conftest.skipped_for_services([reason])
    assert f"1 needs {title}. " in line
    assert f"`bash .ci/services {service}`) or set {variable};" in line


@pytest.mark.alike
@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [["-p", "no:xdist"], ["-n", "1"]], ids=["alone", "xdist"])
def test_output_ends_with_what_was_skipped(options: list[str], tmp_path: Path) -> None:
    """Below pytest's own summary, from tests that ran in this process or in a worker of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    variables = {
        "MEMCACHED_LOCATION": f"127.0.0.1:{port}",
        "REQUIRE_SERVICES": "0",
        "RESULTS_DATABASE": "sqlite",
        "RESULTS_SUFFIX": f"{settings.RUN_NAME}_skipped",
    }
    test = f"{__file__}::{test_caches_of_the_test_site_answer.__name__}[memcached]"
    configuration = ["-c", str(conftest.ROOT / "pyproject.toml"), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *configuration, *options, test],
        # Not in the checkout, which `python -m` would import from.
        cwd=tmp_path,
        env={**_own_variables(), **variables},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert "1 test was skipped: 1 needs Memcached. Start it" in lines[-1], done
    assert "1 skipped in" in lines[-2]


def _own_variables() -> dict[str, str]:
    """The environment, without what the pytest that runs this test put there for itself."""
    others = ("PYTEST_", "COV_", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)}
