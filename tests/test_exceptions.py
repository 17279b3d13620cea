"""The errors: their common base, and the classes by which Celery and Django catch them."""

from __future__ import annotations

import pytest
from celery.exceptions import ImproperlyConfigured as CeleryImproperlyConfigured
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import DecodeError

from django_celery_results import exceptions


@pytest.mark.parametrize("name", exceptions.__all__)
def test_errors_share_one_base(name: str) -> None:
    """One ``except`` can catch them all."""
    assert issubclass(getattr(exceptions, name), exceptions.ResultsError)


@pytest.mark.parametrize(
    ("error", "known_as"),
    [
        (exceptions.BackendMisconfigured, ImproperlyConfigured),
        (exceptions.BackendMisconfigured, CeleryImproperlyConfigured),
        (exceptions.ResultUnreadable, DecodeError),
        (exceptions.IdTooLong, ValueError),
    ],
)
def test_errors_are_what_their_callers_know(error: type, known_as: type) -> None:
    """Code that catches the error class of Celery, Kombu, Django or Python catches ours too."""
    assert issubclass(error, known_as)
