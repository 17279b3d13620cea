"""Tests of the storage ``notebook``."""

import sqlite3

from django_celery_results.testing import StorageConformance


class TestNotebook(StorageConformance):
    """The tests of every storage, except those of features that it lacks."""

    plugin = "myplugins.notebook"
    url = "django-results+notebook://{directory}/results.sqlite3"
    bad_urls = ("django-results+notebook://", "django-results+notebook:///no/such/place")
    facts = ("name",)
    has_groups = has_chords = has_expiry = False
    passing = (sqlite3.OperationalError("database is locked"),)
