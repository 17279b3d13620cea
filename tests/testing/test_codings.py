"""The codings of the built-in codec, and the one in the documentation."""

from __future__ import annotations

from django_celery_results.testing import CodingConformance


class TestIdentity(CodingConformance):
    """The coding that changes nothing."""

    plugin = "codec"
    name = "identity"
    detects_corruption = False


class TestGzip(CodingConformance):
    """Kombu's gzip."""

    plugin = "codec"
    name = "application/x-gzip"


class TestBzip2(CodingConformance):
    """Kombu's bzip2."""

    plugin = "codec"
    name = "application/x-bz2"


class TestLZMA(CodingConformance):
    """Kombu's LZMA."""

    plugin = "codec"
    name = "application/x-lzma"


class TestDeflate(CodingConformance):
    """The example in the documentation."""

    plugin = "myplugins.deflate_coding"
    name = "deflate"
    declined = 1024
