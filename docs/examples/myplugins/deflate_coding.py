"""A content coding: what is longer than a kilobyte is compressed."""

import zlib

from django_celery_results import hookimpl
from django_celery_results.records import Coding

ENOUGH = 1024  # bytes: less is not worth the while


@hookimpl
def contribute_codings():
    """Offer the coding ``deflate`` (RFC 9110, 8.4.1.2)."""
    yield Coding(
        name="deflate",
        encode=zlib.compress,
        decode=zlib.decompress,
        wanted=lambda size: size > ENOUGH,
    )
