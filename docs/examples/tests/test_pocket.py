"""The smallest storage."""

from django_celery_results.testing import StorageConformance


class TestPocket(StorageConformance):
    """All that is true of every storage, but for what it says that it cannot do."""

    plugin = "myplugins.pocket"
    url = "django-results+pocket://{directory}/results.sqlite3"
    has_groups = has_chords = has_expiry = False
