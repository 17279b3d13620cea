"""The plugin ``labels`` passes the suite for observers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django_celery_results.testing import ObserverConformance


class TestLabels(ObserverConformance):
    """Runs the suite for observers: it stores labels, and harms no result."""

    plugin = "labels"
    options: ClassVar[Mapping[str, Any]] = {"labels": {"FUNCTION": "labels_functions.id_of"}}
