"""Codings with one fault each, and the tests of the suite that find the fault."""

from __future__ import annotations

import os
import time
import zlib
from typing import Any

from django_celery_results import hookimpl
from django_celery_results.records import Coding
from django_celery_results.testing import CodingConformance


class Broken:
    """A compressing coding with one fault."""

    def __init__(self, **fault: Any) -> None:
        self.fault = fault

    @hookimpl
    def contribute_codings(self) -> list[Coding]:
        """Offer the coding ``broken``."""
        sound = {"encode": zlib.compress, "decode": zlib.decompress}
        return [Coding(name="broken", **{**sound, **self.fault})]


KEY = os.urandom(16)


class Keyed:
    """Marks its output with a key, and rejects every other key."""

    @hookimpl
    def contribute_codings(self) -> list[Coding]:
        """Offer the coding ``keyed``."""
        return [Coding(name="keyed", encode=self.encode, decode=self.decode)]

    def encode(self, payload: bytes) -> bytes:
        """Compress the payload and put the key in front of it."""
        return KEY + zlib.compress(payload)

    def decode(self, payload: bytes) -> bytes:
        """Check the key and decompress the rest."""
        if not payload.startswith(KEY):
            raise ValueError("of somebody else")
        return zlib.decompress(payload[len(KEY) :])


class Shared:
    """Keeps the payload between two steps, where another thread can replace it."""

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
    """The suite reports nothing for a coding without a fault."""

    plugin = Broken(
        wanted=lambda size: size > 10, renew=lambda payload, _before: zlib.compress(payload)
    )
    name = "broken"
    declined = 10
    finds = frozenset[str]()


class TestDoesNotTakeNothing(CodingConformance):
    """It leaves empty bytes as they are, and then cannot decode them."""

    plugin = Broken(encode=_empty_as_it_is)
    name = "broken"
    finds = frozenset({"test_bytes_come_back"})


class TestRenewsNothing(CodingConformance):
    """Its ``renew`` gives back the old bytes instead of coding the new ones."""

    plugin = Broken(renew=lambda _payload, before: before)
    name = "broken"
    finds = frozenset({"test_renewed_bytes_come_back"})


class TestGivesText(CodingConformance):
    """It gives text, but codings are for bytes."""

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
    """It keeps the payload in one object that all threads share."""

    plugin = Broken(encode=Shared().encode)
    name = "broken"
    finds = frozenset({"test_threads_do_not_meet"})


class TestHasNoChecksum(CodingConformance):
    """It decodes any bytes, and so cannot notice corruption."""

    plugin = Broken(encode=_reversed, decode=_reversed)
    name = "broken"
    finds = frozenset({"test_corrupt_bytes_are_an_error", "test_corrupt_content_is_an_error"})


class TestDeclinesNothing(CodingConformance):
    """It codes everything, although ``declined`` says that it declines 10 bytes."""

    plugin = Broken()
    name = "broken"
    declined = 10
    finds = frozenset({"test_what_it_declines_is_not_coded"})


class TestGivesBackWhatItCannotDecode(CodingConformance):
    """It gives back bytes that it cannot decode, as if they were never encoded."""

    plugin = Broken(decode=_lenient)
    name = "broken"
    finds = frozenset({"test_corrupt_bytes_are_an_error"})


class TestGivesAByteArray(CodingConformance):
    """It decodes to a ``bytearray``, which is equal to bytes but has another type."""

    plugin = Broken(decode=lambda payload: bytearray(zlib.decompress(payload)))
    name = "broken"
    finds = frozenset({"test_bytes_come_back"})


class TestHasAKeyOfItsProcess(CodingConformance):
    """Its key is made when the module is imported, so it differs in each process."""

    plugin = Keyed()
    name = "keyed"
    finds = frozenset({"test_another_process_can_decode"})
