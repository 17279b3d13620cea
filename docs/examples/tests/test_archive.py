"""Tests of the archive."""

import time

import pytest


@pytest.mark.django_db
def test_expired_results_are_in_the_file(registered, make_backend, tmp_path):
    """The file has one line for each task."""
    registered("myplugins.archive:Archive", archive={"FILE": tmp_path / "archive"})
    backend = make_backend(result_expires=0.001)
    backend.store_result("task", [1, 2], "SUCCESS")
    time.sleep(0.01)

    backend.cleanup()

    line = '{"id": "task", "status": "SUCCESS", "result": [1, 2]}\n'
    assert (tmp_path / "archive").read_text() == line
