"""Codings with a fault each, and the tests of the suite that find it."""

from __future__ import annotations

import os
import time
import zlib
from typing import Any

from django_celery_results import hookimpl
from django_celery_results.records import Coding
from django_celery_results.testing import CodingConformance


class Broken:
    """Compression, but for one fault."""

    def __init__(self, **fault: Any) -> None:
        self.fault = fault

    @hookimpl
    def contribute_codings(self) -> list[Coding]:
        """Offer the coding ``broken``."""
        sound = {"encode": zlib.compress, "decode": zlib.decompress}
        return [Coding(name="broken", **{**sound, **self.fault})]


KEY = os.urandom(16)


class Keyed:
    """Marks what it encodes with a key, and knows no other."""

    @hookimpl
    def contribute_codings(self) -> list[Coding]:
        """Offer the coding ``keyed``."""
        return [Coding(name="keyed", encode=self.encode, decode=self.decode)]

    def encode(self, payload: bytes) -> bytes:
        """Compress behind the key."""
        return KEY + zlib.compress(payload)

    def decode(self, payload: bytes) -> bytes:
        """Insist on the key."""
        if not payload.startswith(KEY):
            raise ValueError("of somebody else")
        return zlib.decompress(payload[len(KEY) :])


class Shared:
    """Keeps between two steps what another thread may take for its own."""

    payload = b""

    def encode(self, payload: bytes) -> bytes:
        """Compress in two steps."""
        self.payload = payload
        time.sleep(0.0001)
        return zlib.compress(self.payload)


def _empty_as_it_is(payload: bytes) -> bytes:
    return zlib.compress(payload) if payload else b""


def _lenient(payload: bytes) -> bytes:
    try:
        return zlib.decompress(payload)
    except zlib.error:
        return payload


def _reversed(payload: bytes) -> bytes:
    return payload[::-1]


class TestSound(CodingConformance):
    """Without a fault nothing is found."""

    plugin = Broken(
        wanted=lambda size: size > 10, renew=lambda payload, _before: zlib.compress(payload)
    )
    name = "broken"
    declined = 10
    finds = frozenset[str]()


class TestDoesNotTakeNothing(CodingConformance):
    """No bytes are not compressed, and so are no compressed bytes when they are read."""

    plugin = Broken(encode=_empty_as_it_is)
    name = "broken"
    finds = frozenset({"test_bytes_come_back"})


class TestRenewsNothing(CodingConformance):
    """And gives back what there was."""

    plugin = Broken(renew=lambda _payload, before: before)
    name = "broken"
    finds = frozenset({"test_renewed_bytes_come_back"})


class TestGivesText(CodingConformance):
    """As who forgets that codings are for bytes."""

    plugin = Broken(encode=lambda payload: payload.decode("latin-1"), decode=str.encode)
    name = "broken"
    finds = frozenset(
        {
            "test_bytes_come_back",
            "test_threads_do_not_meet",
            "test_values_come_back",
            "test_contents_name_the_coding",
            "test_nothing_stays_nothing",
            "test_values_come_back_through_a_chain",
            "test_corrupt_bytes_are_an_error",
            "test_corrupt_content_is_an_error",
            "test_backend_keeps_a_result",
        }
    )


class TestIsSharedByThreads(CodingConformance):
    """One object for all."""

    plugin = Broken(encode=Shared().encode)
    name = "broken"
    finds = frozenset({"test_threads_do_not_meet"})


class TestHasNoChecksum(CodingConformance):
    """Any bytes are good for it."""

    plugin = Broken(encode=_reversed, decode=_reversed)
    name = "broken"
    finds = frozenset({"test_corrupt_bytes_are_an_error", "test_corrupt_content_is_an_error"})


class TestDeclinesNothing(CodingConformance):
    """Although it says so."""

    plugin = Broken()
    name = "broken"
    declined = 10
    finds = frozenset({"test_what_it_declines_is_not_coded"})


class TestGivesBackWhatItCannotDecode(CodingConformance):
    """In the hope that it was never encoded."""

    plugin = Broken(decode=_lenient)
    name = "broken"
    finds = frozenset({"test_corrupt_bytes_are_an_error"})


class TestGivesAByteArray(CodingConformance):
    """Which equals bytes, and is none."""

    plugin = Broken(decode=lambda payload: bytearray(zlib.decompress(payload)))
    name = "broken"
    finds = frozenset({"test_bytes_come_back"})


class TestHasAKeyOfItsProcess(CodingConformance):
    """Made when the module is imported, and so another one wherever it is imported."""

    plugin = Keyed()
    name = "keyed"
    finds = frozenset({"test_another_process_can_decode"})
