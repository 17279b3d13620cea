"""The errors: one base, and what Celery and Django catch."""

from __future__ import annotations

import pytest
from celery.exceptions import ImproperlyConfigured as CeleryImproperlyConfigured
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import DecodeError

from django_celery_results import exceptions


@pytest.mark.parametrize("name", exceptions.__all__)
def test_errors_share_one_base(name: str) -> None:
    """Whoever wants to catch them all can."""
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
    """Code that catches Celery's, Kombu's, Django's or Python's own error catches ours."""
    assert issubclass(error, known_as)
