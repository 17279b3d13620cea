"""Tests of the plugin that masks card numbers."""

import pytest


@pytest.mark.django_db
def test_only_four_digits_are_stored(registered, make_backend):
    """The other digits never reach the database."""
    registered("myplugins.card_numbers")
    backend = make_backend()

    backend.store_result("task", "by 4111 1111 1111 1234", "SUCCESS")

    assert backend.get_result("task") == "by ****1234"
