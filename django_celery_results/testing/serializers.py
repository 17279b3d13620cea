"""The suite for serializers."""

from __future__ import annotations

import uuid
from base64 import b64decode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from celery import states
from django.utils.functional import lazystr
from kombu.exceptions import EncodeError
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from ..exceptions import ResultUnreadable
from .registering import get_plugin_manager, registered_codings, require_serializer
from .suites import CodecConformance

if TYPE_CHECKING:
    from ..records import Contents
    from .fixtures import MakeBackend

__all__ = ["CELERY_VALUES", "PLAIN_VALUES", "SerializerConformance"]

#: Values that every serializer is expected to return unchanged.
PLAIN_VALUES: Sequence[Any] = (
    None,
    True,
    False,
    0,
    -1,
    2**53,
    0.1,
    "",
    "text",
    "ä 結果 🎉",
    "line\nbreak and \u2028",
    [],
    {},
    [1, [2, [3, None]]],
    {"key": {"nested": [1.5, "two"]}, "": ""},
    ["x" * 1000] * 10,
    {"same": [True, 1, 1.0, False, 0, 0.0, None, ""]},
)

#: Further values that Celery's JSON serializer accepts; not all of them come back unchanged.
CELERY_VALUES: Sequence[Any] = (
    datetime(2026, 2, 28, 12, 30, 1, 123456),  # noqa: DTZ001 - naive on purpose
    datetime(2026, 2, 28, 12, 30, tzinfo=timezone.utc),
    datetime(2026, 2, 28, 12, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    date(2026, 2, 28),
    time(23, 59, 59, 5),
    Decimal("1.10"),
    Decimal("-0.00000001"),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    b"",
    b"text",
    bytes(range(256)),
    (1, 2),
    lazystr("translated later"),
    {"deep": [{"a": (b"\xff", Decimal(1))}]},
)


def exact(value: Any) -> Any:
    """Return a form of ``value`` that is equal only if all nested types are the same too."""
    if isinstance(value, Mapping):
        items = [(exact(key), exact(one)) for key, one in value.items()]
        return type(value), sorted(items, key=repr)
    if isinstance(value, (list, tuple)):
        return type(value), [exact(one) for one in value]
    return type(value), value


def read(
    _backend: Any, _number: int, *, contents: Contents
) -> Any:  # pragma: no cover - in a process of its own
    """Return the result in ``contents``, decoded by the calling process."""
    values = get_plugin_manager().hook.decode(
        contents=contents,
        accept=frozenset({contents.content_type}),
        codings=registered_codings(),
    )
    return values["result"]


class SerializerConformance(CodecConformance):
    """The suite that every serializer must pass.

    Subclass it and name the serializer::

        class TestLiteral(SerializerConformance):
            plugin = "myplugins.literal_serializer"
            name = "literal"
            values = (*PLAIN_VALUES, {1, 2}, b"bytes")
    """

    #: The serializer's name, as ``result_serializer`` selects it.
    name: ClassVar[str]
    #: Values that come back equal and of the same type.
    values: ClassVar[Sequence[Any]] = PLAIN_VALUES
    #: Whether the serializer returns ``CELERY_VALUES`` exactly as Celery's JSON serializer.
    like_celery_json: ClassVar[bool] = False
    #: Values that the serializer cannot keep and must therefore refuse.
    refused: ClassVar[Sequence[Any]] = (object(), [object()])
    #: Whether the serializer detects content that was truncated.
    detects_corruption: ClassVar[bool] = True

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate one test per value."""
        celery_values = CELERY_VALUES if self.like_celery_json else ()
        lists = {"value": self.values, "celery_value": celery_values, "refusable": self.refused}
        for name, values in lists.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values, ids=[f"{name}{i}" for i in range(len(values))])

    def payload(self, value: Any) -> tuple[str, str, str | bytes]:
        """Return Kombu's serialization of ``value``: content type, encoding and payload."""
        made: tuple[str, str, str | bytes] = registry.dumps(value, serializer=self.name)
        return made

    def test_serializer_is_installed(self) -> None:
        """``result_serializer`` can select it."""
        require_serializer(self.name)

    def test_value_comes_back(self, value: Any) -> None:
        """Equal and of the same type, and so is everything nested in it."""
        returned = self.returned(value, serializer=self.name)

        assert value == returned
        assert exact(value) == exact(returned), "the value is equal, but its types have changed"

    def test_none_is_a_value(self) -> None:
        """A task that returns ``None`` has a result."""
        encoded = self.encode({"result": None}, serializer=self.name)

        assert encoded.fields["result"] is not None
        assert self.decode(encoded) == {"result": None}

    def test_values_are_left_as_they_are(self) -> None:
        """The values belong to the task."""
        before = deepcopy(self.values)
        for value in self.values:
            self.encode({"result": value}, serializer=self.name)

        assert before == self.values, "encoding a value has changed the value itself"

    def test_threads_do_not_meet(self) -> None:
        """A worker may have many threads, which all share one serializer."""
        values = [{"number": number, "filler": "x" * 1000} for number in range(100)]
        with ThreadPoolExecutor(8) as pool:
            returned = list(pool.map(partial(self.returned, serializer=self.name), values))

        assert values == returned

    def test_another_process_can_read(self) -> None:
        """A worker writes and a web process reads, so decoding must not depend on memory."""
        value = {"key": [1, None, "ä"]}
        contents = self.encode({"result": value}, serializer=self.name)

        assert value == self.in_another_process(partial(read, contents=contents))

    def test_all_values_of_a_record_come_back(self) -> None:
        """Each field on its own; ``None`` stays ``None``."""
        values = {"result": [1], "meta": {"a": "b"}, "args": None, "kwargs": "{}", "traceback": "T"}

        assert values == self.decode(self.encode(values, serializer=self.name))

    def test_celery_value_comes_back_as_from_json(self, celery_value: Any) -> None:
        """Exactly as Celery's own JSON serializer returns it."""
        expected = self.returned(celery_value, serializer="json")
        returned = self.returned(celery_value, serializer=self.name)

        assert exact(expected) == exact(returned)

    def test_contents_have_the_content_type(self) -> None:
        """Kombu finds the serializer by its content type."""
        encoded = self.encode({"result": 1}, serializer=self.name)

        assert self.name == registry.type_to_name[encoded.content_type]

    def test_payload_is_as_declared(self) -> None:
        """Bytes if the serializer declares ``binary``, text if it names a character set."""
        made = [self.payload(value) for value in self.values]

        declared = [bytes if encoding == "binary" else str for _, encoding, _ in made]
        assert declared == [type(payload) for _, _, payload in made]

    def test_contents_name_the_encoding(self) -> None:
        """The serializer's own encoding comes first in the list."""
        encoded = self.encode({"result": 1}, serializer=self.name)

        assert self.payload(1)[1] == encoded.content_encoding.split(",")[0]

    def test_values_come_back_through_a_coding(self) -> None:
        """The decoder receives exactly what the encoder returned, text or bytes."""
        how = {"serializer": self.name, "codings": ("identity",)}

        assert list(self.values) == [self.returned(value, **how) for value in self.values]

    def test_content_that_is_not_accepted_is_not_read(self) -> None:
        """``result_accept_content`` decides which content may be read."""
        encoded = self.encode({"result": 1}, serializer=self.name)
        accept = frozenset({"application/x-another"})

        with pytest.raises(ResultUnreadable, match="is not accepted"):
            self.hook.decode(contents=encoded, accept=accept, codings=self.codings)

    def test_what_cannot_be_kept_is_refused(self, refusable: Any) -> None:
        """With a reason, when the value is stored and not only when it is read."""
        with pytest.raises(EncodeError) as refusal:
            self.encode({"result": refusable}, serializer=self.name)

        assert str(refusal.value).strip() != "", "the error must give a reason"

    def test_corrupt_content_is_an_error(self) -> None:
        """Corrupt content must never decode to another value."""
        if not self.detects_corruption:
            pytest.skip("detects_corruption is False: the serializer does not detect corruption")
        encoded = self.encode({"result": ["one", "two", "three"]}, serializer=self.name)
        text = encoded.fields["result"]
        cut = text[: len(text) // 8 * 4]  # base64 comes in fours
        assert b64decode(cut) if encoded.content_encoding == "binary" else cut

        with pytest.raises(ResultUnreadable, match="result is corrupt"):
            self.decode(replace(encoded, fields={"result": cut}))

    @pytest.mark.django_db
    def test_backend_keeps_a_result(self, make_backend: MakeBackend) -> None:
        """Through Celery, with the serializer selected and accepted."""
        backend = self._backend(make_backend)
        backend.store_result("good", {"a": [1, None]}, states.SUCCESS)

        assert {"a": [1, None]} == backend.get_task_meta("good", cache=False)["result"]

    @pytest.mark.django_db
    def test_backend_keeps_a_failure(self, make_backend: MakeBackend) -> None:
        """The exception comes back as an exception."""
        backend = self._backend(make_backend)
        backend.store_result("bad", LookupError("gone"), states.FAILURE, traceback="Trace")

        meta = backend.get_task_meta("bad", cache=False)
        assert ("LookupError('gone')", "Trace") == (repr(meta["result"]), meta["traceback"])

    def _backend(self, make_backend: MakeBackend) -> Any:
        return make_backend(result_serializer=self.name, result_accept_content=[self.name])
