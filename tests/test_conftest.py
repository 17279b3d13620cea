"""A missing service is never mistaken for a passed test."""

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
    """The name of a service at whose address nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    monkeypatch.setitem(conftest.ADDRESSES, "absent", address)
    return "absent"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a service that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setitem(conftest.ADDRESSES, "listening", server.getsockname())
        yield "listening"


@pytest.fixture(autouse=True)
def _forget_answers() -> Iterator[None]:
    """Each test asks anew."""
    conftest.missing_service.cache_clear()
    yield
    conftest.missing_service.cache_clear()


def test_missing_service_skips(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a developer's machine a test is skipped where its service is absent."""
    monkeypatch.setattr(settings, "REQUIRE_SERVICES", False)

    with pytest.raises(pytest.skip.Exception, match="no absent at"):
        conftest.require_service(absent)


def test_missing_required_service_fails(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With REQUIRE_SERVICES=1 the absence is a failure."""
    monkeypatch.setattr(settings, "REQUIRE_SERVICES", True)

    with pytest.raises(pytest.fail.Exception, match="no absent at"):
        conftest.require_service(absent)


def test_present_service_lets_the_test_run(listening: str) -> None:
    """A service that answers is no reason to do anything."""
    assert conftest.missing_service(listening) is None


@pytest.mark.django_db
def test_caches_of_the_test_site_answer(cache_alias: str) -> None:
    """Each cache that the tests use gives back what was put into it."""
    caches[cache_alias].set("answer", 42, timeout=60)

    assert caches[cache_alias].get("answer") == 42
