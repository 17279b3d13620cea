"""For authors of plugins: fixtures for their tests, and suites that their plugins have to pass.

A suite is a class to subclass. This is a whole test of a serializer::

    from django_celery_results.testing import SerializerConformance

    class TestMine(SerializerConformance):
        plugin = "my_distribution.plugin"
        name = "mine"

The fixtures, on which the suites build, come with one line in the ``conftest.py`` of the root::

    pytest_plugins = ["django_celery_results.testing.fixtures"]

Needs pytest and pytest-django (``pip install django-celery-results[testing]``). The rest of
the package never imports this one.
"""

from __future__ import annotations

import pytest

# Before they are imported: so that an assertion that fails in a suite shows its values.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module}" for module in ("codings", "observers", "serializers", "suites")),
    *(f"{__name__}.storage_{part}" for part in ("chords", "expiry", "races", "suite", "tasks")),
)

from .codings import CodingConformance  # noqa: E402  the line above comes first
from .observers import ObserverConformance  # noqa: E402  as above
from .recording import HookCall, RecordingPlugin  # noqa: E402  as above
from .registering import (  # noqa: E402  as above
    PluginInfo,
    check_plugin_settings,
    plugin_infos,
    registered_plugins,
)
from .serializers import PLAIN_VALUES, SerializerConformance  # noqa: E402  as above
from .storages import StorageConformance  # noqa: E402  as above

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
