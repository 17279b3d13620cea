"""The core's list of distributions, compared with what installed plugins contribute."""

from __future__ import annotations

from django_celery_results.records import Coding
from django_celery_results.registry.catalogue import FIRST_PARTY
from django_celery_results.registry.loading import load_plugins

__all__ = ["distributions_of"]


def distributions_of(plugin: str) -> dict[str, str | None]:
    """Return each name that the plugin stores results under, with its distribution in the list.

    These are the names of its codings, and the names and content types of its serializers: the
    settings name a serializer, and a row names its content type.
    """
    contributions = load_plugins().contributions
    stored = {
        name
        for (kind, name), owner in contributions.owners.items()
        if owner == plugin and kind is Coding
    }
    for name, serializer in contributions.serializers.items():
        if contributions.owners[type(serializer), name] == plugin:
            stored |= {name, serializer.content_type}
    return {name: FIRST_PARTY.get(name) for name in stored}
