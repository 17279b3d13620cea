"""Tests of the smallest storage."""

from django_celery_results.testing import StorageConformance


class TestPocket(StorageConformance):
    """The tests of every storage, except those of features that it lacks."""

    plugin = "myplugins.pocket"
    url = "django-results+pocket://{directory}/results.sqlite3"
    has_groups = has_chords = has_expiry = False
