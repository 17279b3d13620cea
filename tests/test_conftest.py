"""A test without its service is skipped or fails, and never counts as passed."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from django.core.cache import caches

from tests import conftest, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


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
