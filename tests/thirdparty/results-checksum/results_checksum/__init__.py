"""A content coding: four bytes of CRC-32 before the content."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from django_celery_results import hookimpl
from django_celery_results.records import Coding


def add_checksum(content: bytes) -> bytes:
    """Return ``content`` with its checksum in front."""
    return zlib.crc32(content).to_bytes(4, "big") + content


def verify_checksum(content: bytes) -> bytes:
    """Return ``content`` without its checksum; raise ``ValueError`` if it does not match."""
    checksum, content = content[:4], content[4:]
    if zlib.crc32(content).to_bytes(4, "big") != checksum:
        raise ValueError("the checksum is another one")
    return content


class ChecksumPlugin:
    """Contributes the coding ``crc32``."""

    django_celery_results_name = "checksum"

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Offer ``crc32``."""
        yield Coding(name="crc32", encode=add_checksum, decode=verify_checksum)


plugin = ChecksumPlugin()
