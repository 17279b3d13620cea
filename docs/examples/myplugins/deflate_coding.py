"""A content coding: compress contents that are longer than a kilobyte."""

import zlib

from django_celery_results import hookimpl
from django_celery_results.records import Coding

ENOUGH = 1024  # bytes; shorter contents are not worth compressing


@hookimpl
def contribute_codings():
    """Contribute the coding ``deflate`` (RFC 9110, 8.4.1.2)."""
    yield Coding(
        name="deflate",
        encode=zlib.compress,
        decode=zlib.decompress,
        wanted=lambda size: size > ENOUGH,
    )
