"""Chords whose header cannot be read at the moment, because a key or service is away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from celery import states
from django.core.cache import caches

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnavailable
from django_celery_results.models import ChordCounter
from django_celery_results.records import Coding

from .common import Chord

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


class Vault:
    """A plugin with a coding that can be undone only while the vault is open."""

    def __init__(self) -> None:
        #: How many more reads find it closed.
        self.closed = 0

    def open(self, content: bytes) -> bytes:
        """Return the content if the vault is open."""
        # Only results contain "value"; the body of the chord is encoded too, and can be read.
        if self.closed and b"value" in content:
            self.closed -= 1
            raise ResultUnavailable("the vault is closed")
        return content

    @hookimpl
    def contribute_codings(self) -> Iterable[Coding]:
        """Offer the coding."""
        yield Coding(name="vault", encode=bytes, decode=self.open)


@pytest.fixture
def vault(registered: Register) -> Vault:
    """A vault whose coding is in use."""
    vault = Vault()
    registered(vault, CODINGS=["vault"])
    return vault


def make_chord(make_backend: MakeBackend, timeout: float, url: str = "django-db") -> Chord:
    """Return a chord that waits ``timeout`` seconds for results that cannot be read."""
    caches["default"].clear()
    conf = {"task_always_eager": True, "task_store_eager_result": True}
    return Chord(make_backend(url, result_chord_join_timeout=timeout, **conf))


@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_a_short_outage_is_waited_for(vault: Vault, make_backend: MakeBackend, url: str) -> None:
    """The chord waits for as long as Celery's ``result_chord_join_timeout`` allows."""
    chord = make_chord(make_backend, 30, url)
    chord.start("a", "b")
    chord.done("a", "value 1")
    vault.closed = 2
    chord.done("b", "value 2")
    assert [["value 1", "value 2"]] == chord.sent


def test_a_longer_outage_leaves_the_chord_to_the_cleanup(
    vault: Vault, make_backend: MakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """The body does not fail, because nothing is wrong with the results."""
    chord = make_chord(make_backend, 0)
    chord.start("a")
    vault.closed = 10
    chord.done("a", "value")
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=6))
    assert (0, []) == (chord.backend.chords.finish_all(), chord.sent)
    assert states.PENDING == chord.app.AsyncResult("body-id").state
    assert "Chord c1 is left to the next cleanup" in caplog.text

    vault.closed = 0
    ChordCounter.objects.update(date_claimed=datetime.now(timezone.utc) - timedelta(minutes=6))
    assert (1, [["value"]]) == (chord.backend.chords.finish_all(), chord.sent)


def test_a_task_that_failed_because_of_an_outage_has_failed(make_backend: MakeBackend) -> None:
    """The error is the task's own and can be read, so the chord does not wait."""
    chord = make_chord(make_backend, 30)
    chord.start("a")
    chord.failed("a", ResultUnavailable("another result"))
    result = chord.app.AsyncResult("body-id").result
    assert str(result).startswith("Dependency a raised ResultUnavailable('another result')")


@pytest.mark.parametrize("kept", ["django-cache", "django-db"])
def test_a_chord_that_no_cleanup_can_finish_fails(
    vault: Vault, make_backend: MakeBackend, kept: str
) -> None:
    """A cache cannot list its chords, and a chord of 2.6 in the database lacks its body."""
    chord = make_chord(make_backend, 0, kept)
    chord.start("a")
    ChordCounter.objects.update(body=None)
    vault.closed = 10
    chord.done("a", "value")
    vault.closed = 0
    result = chord.app.AsyncResult("body-id")
    assert (states.FAILURE, True) == (result.state, "the vault is closed" in str(result.result))
