"""The suite for content codings."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from celery import states

from ..exceptions import ResultUnreadable
from .registering import registered_codings
from .suites import CodecConformance

if TYPE_CHECKING:
    from ..records import Coding
    from .fixtures import MakeBackend, Register

__all__ = ["PAYLOADS", "CodingConformance"]

MEGABYTE = 1024 * 1024

#: Payloads that a coding must return unchanged.
PAYLOADS: Sequence[bytes] = (
    b"",
    b"\x00",
    b"text",
    "ä 結果 🎉".encode(),
    bytes(range(256)),
    b"a" * MEGABYTE,
    random.Random(1).randbytes(MEGABYTE),  # noqa: S311 - the same in every run
)
#: A second coding, which is always installed, for the chains.
ANOTHER = "application/x-gzip"


def decode(
    _backend: Any, _number: int, *, name: str, coded: bytes
) -> bytes:  # pragma: no cover - in a process of its own
    """Decode with the coding ``name`` as loaded in the calling process."""
    return registered_codings()[name].decode(coded)


class CodingConformance(CodecConformance):
    """The suite that every content coding must pass.

    Subclass it and name the coding::

        class TestDeflate(CodingConformance):
            plugin = "myplugins.deflate_coding"
            name = "deflate"
            declined = 10  # bytes: its ``wanted`` declines a record this small
    """

    #: The coding's name, as ``CODINGS`` lists it.
    name: ClassVar[str]
    #: A record size in bytes that the coding accepts. The tests encode at least this much.
    wanted: ClassVar[int] = 100_000
    #: A record size in bytes that the coding declines; ``None`` if it accepts every size.
    declined: ClassVar[int | None] = None
    #: Whether the coding detects content that was changed or truncated.
    detects_corruption: ClassVar[bool] = True

    @property
    def coding(self) -> Coding:
        """The coding itself."""
        return self.codings[self.name]

    @property
    def payload(self) -> bytes:
        """Bytes, enough of them that the coding accepts them."""
        return b"ab" * (self.wanted // 2 + 1)

    @property
    def values(self) -> dict[str, Any]:
        """The values of a record that is large enough for the coding to accept."""
        return {
            "result": {"text": "ä 🎉", "filler": self.payload.decode()},
            "traceback": "Traceback: ü\u2028",
            "meta": {"children": []},
            "args": "(1, 2)",
            "kwargs": None,
        }

    def test_coding_is_installed(self) -> None:
        """``CODINGS`` can list it."""
        assert self.name in self.codings, f"the plugin contributes no coding {self.name!r}"

    @pytest.mark.parametrize("number", range(len(PAYLOADS)))
    def test_bytes_come_back(self, number: int) -> None:
        """Empty, arbitrary and large payloads."""
        coded = self.coding.encode(PAYLOADS[number])
        decoded = self.coding.decode(coded)

        types = (type(coded), type(decoded))
        assert (bytes, bytes) == types, "encode and decode must both return bytes"
        assert PAYLOADS[number] == decoded

    def test_renewed_bytes_come_back(self) -> None:
        """Both the new bytes and the old ones, which a row may still refer to."""
        if self.coding.renew is None:
            pytest.skip("the coding has no renew, so it keeps no contents elsewhere")
        before = self.coding.encode(b"before")
        coded = self.coding.renew(b"after", before)

        assert isinstance(coded, bytes)
        assert [b"after", b"before"] == [self.coding.decode(one) for one in (coded, before)]

    def test_threads_do_not_meet(self) -> None:
        """A worker may have many threads, which all share one coding."""
        texts = [bytes([number]) * 10_000 for number in range(200)]
        with ThreadPoolExecutor(8) as pool:
            returned = list(pool.map(self.coding.decode, pool.map(self.coding.encode, texts)))

        assert texts == returned

    def test_another_process_can_decode(self) -> None:
        """A worker writes and a web process reads, so decoding must not depend on memory."""
        coded = self.coding.encode(self.payload)

        read = partial(decode, name=self.name, coded=coded)
        assert self.payload == self.in_another_process(read)

    @pytest.mark.parametrize("serializer", ["json", "pickle"])
    def test_values_come_back(self, serializer: str) -> None:
        """Every value of a record, with a serializer to text and with a serializer to bytes."""
        encoded = self.encode(self.values, serializer, (self.name,))

        assert self.values == self.decode(encoded)

    def test_contents_name_the_coding(self) -> None:
        """So that they can be read whatever the settings are."""
        encoded = self.encode(self.values, "json", (self.name,))

        assert f"utf-8, {self.name}" == encoded.content_encoding

    def test_nothing_stays_nothing(self) -> None:
        """``None`` is not encoded."""
        assert self.encode(self.values, "json", (self.name,)).fields["kwargs"] is None

    @pytest.mark.parametrize("first", [True, False])
    def test_values_come_back_through_a_chain(self, first: bool) -> None:
        """With the coding before another one, and after it."""
        chain = (self.name, ANOTHER) if first else (ANOTHER, self.name)
        encoded = self.encode(self.values, "json", chain)

        assert ", ".join(["utf-8", *chain]) == encoded.content_encoding
        assert self.values == self.decode(encoded)

    def test_what_it_declines_is_not_coded(self) -> None:
        """The record is stored without the coding and does not name it."""
        if self.declined is None:
            pytest.skip("declined is None: the coding accepts every size")
        text = "x" * (self.declined - len('""'))
        encoded = self.encode({"result": text}, "json", (self.name,))

        assert ("utf-8", f'"{text}"') == (encoded.content_encoding, encoded.fields["result"])

    def test_corrupt_content_is_an_error(self) -> None:
        """Corrupt content must never decode to another value."""
        if not self.detects_corruption:
            pytest.skip("detects_corruption is False: the coding does not detect corruption")
        value = {"result": self.values["result"]}
        encoded = self.encode(value, "json", (self.name,))
        payload = b64decode(encoded.fields["result"])
        unnoticed = [name for name, one in _corrupted(payload) if self._reads_other(encoded, one)]

        assert [] == unnoticed, "corrupt content was decoded to another value"

    def _reads_other(self, encoded: Any, payload: bytes) -> bool:
        """Return whether a changed payload decodes to a value other than the stored one."""
        corrupt = replace(encoded, fields={"result": b64encode(payload).decode()})
        read: Mapping[str, Any] = self.values
        with suppress(ResultUnreadable):
            read = self.decode(corrupt)
        return bool(self.values["result"] != read["result"])

    def test_corrupt_bytes_are_an_error(self) -> None:
        """Corrupt bytes must never decode to other bytes.

        The serializer would not notice a changed traceback, because any text is valid there.
        """
        if not self.detects_corruption:
            pytest.skip("detects_corruption is False: the coding does not detect corruption")
        coded = self.coding.encode(self.payload)
        unnoticed = [name for name, one in _corrupted(coded) if one and self._decodes_to_other(one)]

        assert [] == unnoticed, "corrupt bytes were decoded to other bytes"

    def _decodes_to_other(self, corrupt: bytes) -> bool:
        """Return whether a changed payload decodes to bytes other than the encoded ones."""
        try:
            return self.payload != self.coding.decode(corrupt)
        except Exception:  # noqa: BLE001 - any error makes the record unreadable, as it must
            return False

    @pytest.mark.django_db
    def test_backend_keeps_a_result(self, make_backend: MakeBackend, registered: Register) -> None:
        """Through Celery, and also after the coding is switched off again."""
        registered(self.plugin, **{**self.options, "CODINGS": [self.name]})
        make_backend().store_result("task", self.values["result"], states.SUCCESS)
        registered(self.plugin, **{**self.options, "CODINGS": []})

        assert self.values["result"] == make_backend().get_result("task")


def _corrupted(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield ``payload`` with one byte changed, in several places, and with its end missing."""
    for part in range(16):
        place = part * (len(payload) - 1) // 15
        changed = bytes([payload[place] ^ 0x10])
        yield f"byte {place} changed", payload[:place] + changed + payload[place + 1 :]
    for length in (0, 1, len(payload) // 2, len(payload) - 1):
        yield f"cut to {length} bytes", payload[:length]
