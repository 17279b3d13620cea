"""A middleware that labels what a request sends."""

from __future__ import annotations

from typing import Any

from django_celery_results_labels import labels


def label_tasks(get_response: Any) -> Any:
    """Label all tasks that a request sends with its user and path."""

    def middleware(request: Any) -> Any:
        with labels(user=request.user.pk, path=request.path[:200]):
            return get_response(request)

    return middleware
