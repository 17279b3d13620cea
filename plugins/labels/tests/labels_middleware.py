"""A middleware that labels the tasks sent by a request."""

from __future__ import annotations

from typing import Any

from django_celery_results_labels import labels


def label_tasks(get_response: Any) -> Any:
    """Label all tasks sent by a request with its user and path."""

    def middleware(request: Any) -> Any:
        with labels(user=request.user.pk, path=request.path[:200]):
            return get_response(request)

    return middleware
