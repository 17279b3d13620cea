"""Text that every database can hold."""

from __future__ import annotations

import pytest

from django_celery_results.sql.text import is_storable, shorten, storable


@pytest.mark.parametrize("text", ["", "plain", "häßlich", "🐘", "line\nand\ttab", "\\x00"])
def test_usual_text_is_storable(text: str) -> None:
    """It may contain everything that UTF-8 has, except NUL."""
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "ä\udfff"])
def test_nul_and_lone_surrogates_are_not(text: str) -> None:
    """PostgreSQL refuses NUL, and every driver refuses lone surrogates."""
    assert not is_storable(text)


@pytest.mark.parametrize("text", ["", "plain", "häßlich 🐘"])
def test_storable_text_stays(text: str) -> None:
    assert text == storable(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\x00b", "a\\x00b"), ("ä\ud800", "ä\\ud800"), ("\x00\udfff", "\\x00\\udfff")],
)
def test_text_that_cannot_be_stored_is_escaped(text: str, expected: str) -> None:
    """Python's escapes make it visible."""
    assert expected == storable(text)


@pytest.mark.parametrize(("length", "expected"), [(4, "name"), (3, "na…"), (1, "…"), (9, "name")])
def test_too_long_text_ends_in_an_ellipsis(length: int, expected: str) -> None:
    """The ellipsis counts as one of the characters."""
    assert expected == shorten("name", length)
