"""The plugin: the content coding ``zstd`` (RFC 8878) and its settings."""

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

#: Bytes of a frame without content, at most (RFC 8878, 3.1.1): magic number, header, the header
#: of a block, checksum.
LONGEST_EMPTY = 4 + 14 + 3 + 4


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

    def check(self) -> Iterator[CheckMessage]:
        """Yield what is wrong, also that nothing is ever compressed."""
        wrong = list(super().check())
        yield from wrong
        if not wrong and self.threshold > self.max_size:
            yield Warning(
                f"Nothing is compressed: DJANGO_CELERY_RESULTS['zstd']['THRESHOLD'], which is "
                f"{self.threshold}, is more than 'MAX_SIZE', which is {self.max_size}.",
                id=f"{self.check_prefix}.W002",
            )


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
    if size == 0:
        return _nothing(frame)
    return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)


def _nothing(frame: bytes) -> bytes:
    """Return the empty content of a frame that says so, and is whole.

    Asked for nothing, the library looks no further, whatever the frame really has.
    """
    reader = zstandard.ZstdDecompressor().decompressobj()
    is_short = len(frame) <= LONGEST_EMPTY
    if not is_short or reader.decompress(frame) or reader.unused_data or not reader.eof:
        raise ValueError("a frame that says it has no content has something")
    return b""
