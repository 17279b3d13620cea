"""The suite for storages."""

from __future__ import annotations

from .storage_chords import StorageOfChords
from .storage_expiry import StorageThatExpires
from .storage_races import StorageInRaces
from .storage_tasks import StorageOfGroups, StorageOfTasks

__all__ = ["StorageConformance"]


class StorageConformance(
    StorageOfTasks, StorageOfGroups, StorageOfChords, StorageThatExpires, StorageInRaces
):
    """What has to be true of every storage.

    Subclass it and say where it is, and what it cannot do::

        class TestNotebook(StorageConformance):
            plugin = "myplugins.notebook"
            url = "django-results+notebook://{directory}/results.sqlite3"
            has_groups = has_chords = has_expiry = False

    A storage in Django's database needs ``@pytest.mark.django_db(transaction=True)``: several
    threads and processes use it at once.
    """
