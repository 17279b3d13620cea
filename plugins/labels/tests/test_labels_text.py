"""What can be a label, and the text of its value."""

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
    """What a tenant pays for."""

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
    """So that what was stored as 3 is found by "3"."""
    assert expected == text_of(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([3], "a label is text, a number, a date or a UUID, not list"),
        (None, "not NoneType"),
        ("x" * 201, "the value of a label has 201 characters; it may have 200"),
        ("a\0b", "the value of a label has a character NUL"),
    ],
)
def test_other_values_are_refused(value: object, message: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=message):
        text_of(value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (3, "has to be text that is not empty, not 3"),
        ("", "has to be text that is not empty, not ''"),
        ("x" * 51, "the name of a label has 51 characters; it may have 50"),
        ("a\0b", "the name of a label has a character NUL"),
    ],
)
def test_wrong_names_are_refused(name: Any, message: str) -> None:
    """As are values."""
    with pytest.raises(ValueError, match=message):
        require_name(name)
