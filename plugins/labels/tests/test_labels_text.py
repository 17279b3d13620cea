"""Valid labels, and the text of their values."""

from __future__ import annotations

import enum
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.utils.functional import lazystr

from django_celery_results_labels.text import require_name, text_of


class Plan(enum.Enum):
    """The plan of a tenant."""

    SMALL = "small"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", "3"),
        (3, "3"),
        (True, "True"),
        (Decimal("3.50"), "3.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(2026, 2, 3), "2026-02-03"),
        (datetime(2026, 2, 3, 4, tzinfo=timezone.utc), "2026-02-03T04:00:00+00:00"),
        (Plan.SMALL, "small"),
        (lazystr("a name"), "a name"),
        ("x" * 200, "x" * 200),
    ],
)
def test_value_has_one_text(value: object, expected: str) -> None:
    """A label stored as 3 is found by "3"."""
    assert expected == text_of(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([3], "a label has to be text, a number, a date or a UUID, not list"),
        (None, "not NoneType"),
        ("x" * 201, "the value of a label has 201 characters; shorten it to 200"),
        ("a\0b", "the value of a label has a NUL character"),
    ],
)
def test_invalid_value_is_refused(value: object, message: str) -> None:
    """The error says why."""
    with pytest.raises(ValueError, match=message):
        text_of(value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (3, "has to be non-empty text, not 3"),
        ("", "has to be non-empty text, not ''"),
        ("x" * 51, "the name of a label has 51 characters; shorten it to 50"),
        ("a\0b", "the name of a label has a NUL character"),
    ],
)
def test_invalid_name_is_refused(name: Any, message: str) -> None:
    """The error says why."""
    with pytest.raises(ValueError, match=message):
        require_name(name)
