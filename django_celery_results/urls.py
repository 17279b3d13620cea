"""The URLs of the JSON endpoints, for a site to include.

The endpoints do not authenticate callers: a site that includes them must restrict access.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from django.urls import URLPattern, path, register_converter

from . import former_names, views
from .conf import results_settings

__all__ = ["urlpatterns"]


class TaskPatternConverter:
    """Matches the ids of tasks and groups: word characters, ``-`` and ``.``."""

    regex = r"[\w\d\-\.]+"

    def to_python(self, value: str) -> str:
        """Return the id unchanged from the path."""
        return value

    def to_url(self, value: object) -> str:
        """Return the id unchanged for the path."""
        return str(value)


register_converter(TaskPatternConverter, "task_pattern")


def noun_first_patterns() -> list[URLPattern]:
    """Return the URLs that begin with ``task/`` or ``group/``."""
    return [
        path(
            "task/done/<task_pattern:task_id>/",
            views.is_task_successful,
            name="celery-is_task_successful",
        ),
        path("task/status/<task_pattern:task_id>/", views.task_status, name="celery-task_status"),
        path(
            "group/done/<task_pattern:group_id>/",
            views.is_group_successful,
            name="celery-is_group_successful",
        ),
        path(
            "group/status/<task_pattern:group_id>/",
            views.group_status,
            name="celery-group_status",
        ),
    ]


def id_first_patterns() -> list[URLPattern]:
    """Return the older URLs, which begin with the id, and issue a ``DeprecationWarning``."""
    warnings.warn(
        "The URLs of django-celery-results that begin with the id are deprecated: use those "
        "that begin with task/ or group/, and set DJANGO_CELERY_RESULTS_ID_FIRST_URLS = False.",
        DeprecationWarning,
        stacklevel=2,
    )
    return [
        path(
            "<task_pattern:task_id>/done/",
            views.is_task_successful,
            name="celery-is_task_successful",
        ),
        path("<task_pattern:task_id>/status/", views.task_status, name="celery-task_status"),
        path(
            "<task_pattern:group_id>/group/done/",
            views.is_group_successful,
            name="celery-is_group_successful",
        ),
        path(
            "<task_pattern:group_id>/group/status/",
            views.group_status,
            name="celery-group_status",
        ),
    ]


def chosen_patterns() -> list[URLPattern]:
    """Return the URLs that the settings select.

    The older ones come last, so ``reverse`` returns them as in 2.6, as long as they exist.
    """
    older = id_first_patterns() if results_settings.id_first_urls else []
    return noun_first_patterns() + older


urlpatterns = chosen_patterns()


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
