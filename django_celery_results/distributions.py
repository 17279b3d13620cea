"""Where to get what a stored result was encoded with, once it is no longer installed."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FIRST_PARTY", "advice"]

#: The distribution that brings each coding, serializer and content type of the first-party
#: plugins.
FIRST_PARTY: Mapping[str, str] = {
    "application/x-msgspec+json": "django-celery-results-msgspec",
    "application/x-msgspec+msgpack": "django-celery-results-msgspec",
    "fernet": "django-celery-results-fernet",
    "msgspec-json": "django-celery-results-msgspec",
    "msgspec-msgpack": "django-celery-results-msgspec",
    "offload": "django-celery-results-offload",
    "zstd": "django-celery-results-zstd",
}


def advice(name: str, otherwise: str) -> str:
    """Return what to install for the coding, serializer or content type ``name``."""
    return FIRST_PARTY.get(name, otherwise)
