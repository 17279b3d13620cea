"""The shared setup of all tests: the import path, Django, and checks for required services."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

# `tests` must be importable, and the checkout must not hide the installed package, so its root
# goes last. pytest-django looks for the settings before it reads this file, hence the variable
# is set here, not in pyproject.toml.
ROOT = Path(__file__).resolve().parent.parent
KIT = ROOT / "tests" / "testing"
EXAMPLES = (
    ROOT / "docs" / "examples",
    ROOT / "examples" / "sqlite-results",
    ROOT / "examples" / "demo",
)
sys.path += map(str, [ROOT, *EXAMPLES])
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django  # noqa: E402  the path and the settings above come first

django.setup()

from tests import settings  # noqa: E402  as above

pytest_plugins = ["django_celery_results.testing.fixtures"]


class Service(NamedTuple):
    """A service's name in prose, and the variable that holds its address."""

    title: str
    variable: str


CACHE_ALIASES = ("default", "redis", "memcached", "database")
DATABASE_SERVICES = ("postgresql", "mariadb")


def _url_address(url: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    return parts.hostname or "127.0.0.1", parts.port or default_port


ADDRESSES = {
    "postgresql": (settings.POSTGRES_HOST, settings.POSTGRES_PORT),
    "mariadb": (settings.MARIADB_HOST, settings.MARIADB_PORT),
    "redis": _url_address(settings.REDIS_URL, 6379),
    "rabbitmq": _url_address(settings.RABBITMQ_URL, 5672),
    "memcached": _url_address(settings.MEMCACHED_LOCATION, 11211),
}

SERVICES = {
    "postgresql": Service("PostgreSQL", "POSTGRES_HOST"),
    "mariadb": Service("MariaDB", "MARIADB_HOST"),
    "redis": Service("Redis", "REDIS_URL"),
    "rabbitmq": Service("RabbitMQ", "RABBITMQ_URL"),
    "memcached": Service("Memcached", "MEMCACHED_LOCATION"),
}
#: Matches the reason that `missing_service` gives.
NO_SERVICE = re.compile(r"(?:Skipped: )?no (\w+) at ")


@cache
def missing_service(name: str) -> str | None:
    """The reason why the service cannot be used, ``None`` if it answers within two seconds."""
    host, port = ADDRESSES[name]
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        return f"no {name} at {host}:{port}: {error}"
    return None


def require_service(name: str) -> None:
    """Skip the running test if the service is missing; with REQUIRE_SERVICES=1, fail it."""
    _require(missing_service(name))


def program(name: str) -> str | None:
    """The path of the program, or ``None``; server programs are not in every user's PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    places = [os.environ.get("PATH", ""), *map(str, versions), "/usr/sbin"]
    return shutil.which(name, path=os.pathsep.join(places))


def require_program(*names: str) -> None:
    """Skip or fail the running test if programs that it starts by itself are missing."""
    missing = [name for name in names if program(name) is None]
    _require(f"not installed: {', '.join(missing)}" if missing else None)


def _require(reason: str | None) -> None:
    if reason is None:
        return
    if settings.REQUIRE_SERVICES:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def skipped_for_services(reasons: Iterable[str]) -> str:
    """Return a line that says how many tests were skipped for which service, or "" for none.

    ``reasons`` has one entry for each skipped test, whatever it was skipped for.
    """
    names = [found[1] for reason in reasons if (found := NO_SERVICE.match(reason))]
    counts = [(name, count) for name, count in Counter(names).most_common() if name in SERVICES]
    if not counts:
        return ""
    needs = (f"{n} need{'s' if n == 1 else ''} {SERVICES[name].title}" for name, n in counts)
    total = sum(count for _, count in counts)
    missing = [name for name, _ in counts]
    return (
        f"{total} test{' was' if total == 1 else 's were'} skipped: {', '.join(needs)}. "
        f"Start {'it' if len(missing) == 1 else 'them'} (`bash .ci/services {' '.join(missing)}`) "
        f"or set {', '.join(SERVICES[name].variable for name in missing)}; see README."
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    """End the output with the line of `skipped_for_services`, below the summary."""
    result = yield
    # An xdist worker has no terminal. It sends its reports to the process that started it.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        skipped = reporter.stats.get("skipped", ())
        if line := skipped_for_services(report.longrepr[2] for report in skipped):
            reporter.write_line(line)
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Remove the variable that is set above, so that xdist's workers do not inherit it.

    With it, pytest-django would import the settings before a worker has read this file.
    """
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Keep the databases' names: settings.py gives each xdist worker its own.

    pytest-django would append the worker's name again, which processes that tests start do not do.
    """


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `alike` the suites of the testing kit for plugins that use no database."""
    for item in items:
        if KIT in item.path.parents and item.get_closest_marker("django_db") is None:
            item.add_marker("alike")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check for the services before any fixture of the test is set up."""
    if settings.DATABASE in DATABASE_SERVICES:
        require_service(settings.DATABASE)
    for marker in item.iter_markers("service"):
        for name in marker.args:
            require_service(name)


@pytest.fixture(
    params=[
        pytest.param(alias, marks=pytest.mark.service(alias) if alias in ADDRESSES else ())
        for alias in CACHE_ALIASES
    ],
)
def cache_alias(request: pytest.FixtureRequest) -> str:
    """Each alias of CACHES in turn; a test that uses "database" needs the `db` fixture too."""
    alias: str = request.param
    return alias
