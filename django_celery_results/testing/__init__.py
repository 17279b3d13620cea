"""Test kit for plugin authors: pytest fixtures, and suites that their plugins must pass.

A suite is a class to subclass. This is a complete test module for a serializer::

    from django_celery_results.testing import SerializerConformance

    class TestMine(SerializerConformance):
        plugin = "my_distribution.plugin"
        name = "mine"

The suites need the fixtures, which one line in the root ``conftest.py`` loads::

    pytest_plugins = ["django_celery_results.testing.fixtures"]

Needs pytest and pytest-django (``pip install django-celery-results[testing]``). The rest of
the package never imports this one.
"""

from __future__ import annotations

import pytest

# Must run before the imports below, so that a failing assertion in a suite shows its values.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("codings", "observers", "serializers", "suites")),
    *(f"{__name__}.storage_{part}" for part in ("chords", "expiry", "races", "suite", "tasks")),
)

from .codings import CodingConformance  # noqa: E402  after the call above
from .observers import ObserverConformance  # noqa: E402  as above
from .recording import HookCall, RecordingPlugin  # noqa: E402  as above
from .registering import (  # noqa: E402  as above
    PluginInfo,
    check_plugin_settings,
    plugin_infos,
    registered_plugins,
)
from .serializers import PLAIN_VALUES, SerializerConformance  # noqa: E402  as above
from .storage_chords import StorageOfChords  # noqa: E402  as above
from .storage_expiry import StorageThatExpires  # noqa: E402  as above
from .storage_races import StorageInRaces  # noqa: E402  as above
from .storage_tasks import StorageOfGroups, StorageOfTasks  # noqa: E402  as above

__all__ = [
    "PLAIN_VALUES",
    "CodingConformance",
    "HookCall",
    "ObserverConformance",
    "PluginInfo",
    "RecordingPlugin",
    "SerializerConformance",
    "StorageConformance",
    "check_plugin_settings",
    "plugin_infos",
    "registered_plugins",
]


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
