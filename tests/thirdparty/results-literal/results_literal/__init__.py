"""A serializer: results as Python literals."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from django_celery_results import hookimpl
from django_celery_results.records import Serializer

django_celery_results_name = "literal"


@hookimpl
def contribute_serializers() -> Iterator[Serializer]:
    """Offer ``literal``."""
    yield Serializer(
        name="literal",
        encode=repr,
        decode=ast.literal_eval,
        content_type="text/x-python-literal",
    )
