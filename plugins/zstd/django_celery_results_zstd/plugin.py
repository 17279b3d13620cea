"""The plugin's hooks: the content coding ``zstd`` (RFC 8878) and its settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import zstandard
from django.core.checks import Warning  # noqa: A004 - Django's name for it

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnreadable
from django_celery_results.options import Option, PluginOptions, whole_number
from django_celery_results.records import Coding

if TYPE_CHECKING:
    from django.core.checks import CheckMessage

__all__ = ["ZstdOptions", "options"]

#: Largest size of an empty frame, in bytes (RFC 8878, 3.1.1): magic number, header, block
#: header, checksum.
LONGEST_EMPTY = 4 + 14 + 3 + 4


class ZstdOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["zstd"]``."""

    plugin = "zstd"
    check_prefix = "django_celery_results_zstd"

    #: Bytes from which a record is compressed; all its contents count together.
    threshold: Option[int] = Option(whole_number(0), default=1024, check="E002")
    #: The compression level, as defined by Zstandard.
    level: Option[int] = Option(whole_number(1, 22), default=3, check="E003")
    #: Largest size of a decompressed content, in bytes.
    max_size: Option[int] = Option(whole_number(1), default=128 * 1024**2, check="E004")

    def check(self) -> Iterator[CheckMessage]:
        """Yield the problems of the settings, such as limits under which nothing is compressed."""
        wrong = list(super().check())
        yield from wrong
        if not wrong and self.threshold > self.max_size:
            yield Warning(
                f"DJANGO_CELERY_RESULTS['zstd']['THRESHOLD'] is {self.threshold}, more than "
                f"'MAX_SIZE', which is {self.max_size}, so nothing is compressed; lower the first "
                "or raise the second.",
                id=f"{self.check_prefix}.W002",
            )


options = ZstdOptions()


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Contribute the coding ``zstd``."""
    yield Coding(
        name="zstd", encode=compress, decode=decompress, wanted=is_wanted, only_if_smaller=True
    )


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


def is_wanted(size: int) -> bool:
    """Return whether a record of this size, in bytes, is compressed: not too small or too large."""
    return options.threshold <= size <= options.max_size


def compress(content: bytes) -> bytes:
    """Return ``content`` as one frame, with its size and a checksum."""
    # Made for each call, because threads must not share a compressor.
    return zstandard.ZstdCompressor(level=options.level, write_checksum=True).compress(content)


def decompress(frame: bytes) -> bytes:
    """Return the decompressed content; refuse a frame that states a size above the limit.

    The library raises an error for a corrupt frame, for example if it holds more than it states.
    """
    size, limit = zstandard.get_frame_parameters(frame).content_size, options.max_size
    if size == zstandard.CONTENTSIZE_UNKNOWN:
        raise ResultUnreadable(
            "a zstd frame does not state the size of its content, so the plugin 'zstd' did not "
            "write it; restore the row from a backup"
        )
    if size > limit:
        raise ResultUnreadable(
            f"a content of {size} bytes is above the limit of {limit}; if you trust the content, "
            "raise DJANGO_CELERY_RESULTS['zstd']['MAX_SIZE'] to its size"
        )
    if size == 0:
        return _nothing(frame)
    return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)


def _nothing(frame: bytes) -> bytes:
    """Return the empty content of a frame that states the size 0, if the frame is intact.

    For the size 0, the library's ``decompress`` does not look at the rest of the frame.
    """
    reader = zstandard.ZstdDecompressor().decompressobj()
    is_short = len(frame) <= LONGEST_EMPTY
    if not is_short or reader.decompress(frame) or reader.unused_data or not reader.eof:
        raise ValueError("the frame states the size 0, but is not an intact empty frame")
    return b""
