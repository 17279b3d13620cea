"""The tweak of card numbers."""

import pytest


@pytest.mark.django_db
def test_four_digits_are_left(registered, make_backend):
    """The others never reach the database."""
    registered("myplugins.card_numbers")
    backend = make_backend()

    backend.store_result("task", "by 4111 1111 1111 1234", "SUCCESS")

    assert backend.get_result("task") == "by ****1234"
