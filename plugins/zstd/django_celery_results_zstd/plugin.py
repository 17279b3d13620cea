"""The plugin: the content coding ``zstd`` (RFC 8878) and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import zstandard

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnreadable
from django_celery_results.options import Option, PluginOptions, whole_number
from django_celery_results.records import Coding

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

__all__ = ["ZstdOptions", "options"]


class ZstdOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["zstd"]``."""

    plugin = "zstd"
    check_prefix = "django_celery_results_zstd"

    #: Bytes that all contents of a record must have for it to be compressed.
    threshold: Option[int] = Option(whole_number(0), default=1024, check="E002")
    #: How hard to try: Zstandard's own levels.
    level: Option[int] = Option(whole_number(1, 22), default=3, check="E003")
    #: Bytes that a content may have once it is decompressed.
    max_size: Option[int] = Option(whole_number(1), default=128 * 1024**2, check="E004")


options = ZstdOptions()


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Offer the coding ``zstd``."""
    yield Coding(
        name="zstd", encode=compress, decode=decompress, wanted=is_wanted, only_if_smaller=True
    )


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


def is_wanted(size: int) -> bool:
    """Return whether a record of this size is worth it, and could be read again."""
    return options.threshold <= size <= options.max_size


def compress(content: bytes) -> bytes:
    """Return ``content`` as one frame, which says its size and has a checksum."""
    # Made each time: a compressor must not be shared by threads.
    return zstandard.ZstdCompressor(level=options.level, write_checksum=True).compress(content)


def decompress(frame: bytes) -> bytes:
    """Return what was compressed; nothing is made of a frame that says it holds too much.

    A frame that holds more than it says is an error of the library, as all corrupt ones are.
    """
    size, limit = zstandard.get_frame_parameters(frame).content_size, options.max_size
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        raise ResultUnreadable("a zstd frame does not say how large its content is")
    if size > limit:
        raise ResultUnreadable(
            f"a content of {size} bytes is more than may be decompressed; if it is yours, set "
            f"DJANGO_CELERY_RESULTS['zstd']['MAX_SIZE'], which is {limit}, to as much"
        )
    return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
