"""Text that every database can hold."""

from __future__ import annotations

import pytest

from django_celery_results.sql.text import is_storable, shorten, storable


@pytest.mark.parametrize("text", ["", "plain", "häßlich", "🐘", "line\nand\ttab", "\\x00"])
def test_usual_text_is_storable(text: str) -> None:
    """Whatever UTF-8 has, but for NUL."""
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "ä\udfff"])
def test_nul_and_lone_surrogates_are_not(text: str) -> None:
    """PostgreSQL refuses the one, every driver the other."""
    assert not is_storable(text)


@pytest.mark.parametrize("text", ["", "plain", "häßlich 🐘"])
def test_storable_text_stays(text: str) -> None:
    """What can be stored is not touched."""
    assert text == storable(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\x00b", "a\\x00b"), ("ä\ud800", "ä\\ud800"), ("\x00\udfff", "\\x00\\udfff")],
)
def test_what_cannot_be_stored_is_spelt(text: str, expected: str) -> None:
    """As Python spells it, so that it can be seen."""
    assert expected == storable(text)


@pytest.mark.parametrize(("length", "expected"), [(4, "name"), (3, "na…"), (1, "…"), (9, "name")])
def test_too_long_text_ends_in_an_ellipsis(length: int, expected: str) -> None:
    """The ellipsis counts as one of the characters."""
    assert expected == shorten("name", length)
