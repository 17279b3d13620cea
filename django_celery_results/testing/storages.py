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
    """The suite that every storage must pass.

    Subclass it, set the URL, and switch off what the storage does not support::

        class TestNotebook(StorageConformance):
            plugin = "myplugins.notebook"
            url = "django-results+notebook://{directory}/results.sqlite3"
            has_groups = has_chords = has_expiry = False

    A storage in Django's database needs ``@pytest.mark.django_db(transaction=True)``,
    because several threads and processes use it at the same time.
    """
