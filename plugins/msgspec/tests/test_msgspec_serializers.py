"""Both serializers return the same as Celery's own JSON, with Kombu's encoder as the oracle."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from django_celery_results_msgspec.plugin import (
    decode_json,
    decode_msgpack,
    encode_json,
    encode_msgpack,
)

RoundTrip = Callable[[Any], Any]

ROUND_TRIPS: dict[str, RoundTrip] = {
    "json": lambda value: decode_json(encode_json(value)),
    "msgpack": lambda value: decode_msgpack(encode_msgpack(value)),
}
ENCODERS: dict[str, Callable[[Any], object]] = {"json": encode_json, "msgpack": encode_msgpack}

both = pytest.mark.parametrize("round_trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
each_encoder = pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS)


def celery_gives(value: Any) -> Any:
    """Return ``value`` after a round trip through Celery's JSON."""
    return kombu_json.loads(kombu_json.dumps(value))


class Text(str):
    """A subclass of str whose ``str()`` differs from its value."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other words"


class Number(int):
    """A subclass of int whose ``repr()`` is another number."""

    def __repr__(self) -> str:
        return "7"


class Ratio(float):
    """A subclass of float whose ``repr()`` is another number."""

    def __repr__(self) -> str:
        return "0.7"


class Colour(str, enum.Enum):
    """A text choice, as Django's choices are."""

    RED = "red"


class Level(enum.IntEnum):
    """A number choice."""

    HIGH = 3


class Money:
    """Defines its own JSON representation, which Kombu supports."""

    def __json__(self) -> dict[str, Any]:
        return {"amount": Decimal("1.20"), "on": date(2026, 3, 1)}


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: datetime


UTC_NOON = datetime(2026, 3, 29, 12, 0, 0, 123456, tzinfo=timezone.utc)

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "minus zero": -0.0,
    "a large number": 2**64,
    "a larger number": -(10**400),
    "largest float": 1.7976931348623157e308,
    "a float with an exponent": 1e16,
    "not a number": float("nan"),
    "infinity in a list": [1, float("inf"), {"low": float("-inf")}],
    "text": "é 😀 \u2028 \x00 \x7f",
    "half a pair": ["\ud800", {"\udc00": 1}, "\ud800A"],
    "empty ones": ["", [], {}, (), b""],
    "bytes": [b"plain", "é".encode(), b"\xff\x00"],
    "tuple": (1, (2, [3])),
    "moments": [UTC_NOON, UTC_NOON.replace(tzinfo=None), UTC_NOON.replace(microsecond=0)],
    "zones": [
        UTC_NOON.astimezone(ZoneInfo("America/St_Johns")),
        UTC_NOON.astimezone(timezone(timedelta(hours=5, minutes=45, seconds=7))),
        UTC_NOON.replace(fold=1),
    ],
    "date": date(1, 1, 1),
    "times": [time(), time(23, 59, 59, 999999), time(1, tzinfo=timezone.utc), time(1, fold=1)],
    "decimals": [Decimal("1.20"), Decimal("1E+400"), Decimal("NaN"), Decimal("-0"), Decimal("inf")],
    "uuid": {"id": UUID("12345678123456781234567812345678")},
    "lazy text": lazystr("waiting"),
    "lazy translation": {"label": gettext_lazy("Result")},
    "safe text": mark_safe("<b>"),
    "keys": {1: "a", None: "b", False: "c", 1.5: "d", 1e16: "e", Colour.RED: "f", Text("t"): "g"},
    "keys that are one": {1: "first", "1": "second"},
    "keys that are numbers and none": {float("nan"): 1, float("inf"): 2},
    "subclasses": [Text("text"), Number(3), Ratio(2.5), Colour.RED, Level.HIGH, Ratio("nan")],
    "containers": [OrderedDict(a=1), defaultdict(list, a=[2]), Point(1, UTC_NOON)],
    "an object of __json__": [Money()],
    "what looks like a mark": {"__type__": "decimal", "__value__": "1.5"},
    "what almost looks like a mark": {"__type__": "decimal", "__value__": "1.5", "more": 1},
    "a text that names a mark": '"__type__"',
    "deep": [[[[{"a": {"b": ({"c": UTC_NOON},)}}]]]],
    "a failure as Celery stores it": {
        "exc_type": "DoesNotExist",
        "exc_message": ["no such thing", 5, UTC_NOON],
        "exc_module": "shop.models",
    },
}


@both
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_value_is_returned_as_by_celery(round_trip: RoundTrip, value: Any) -> None:
    """Equal and of the same types, which the comparison by ``repr`` shows."""
    assert repr(celery_gives(value)) == repr(round_trip(value))


TEXT = st.text(st.characters(codec=None), max_size=20)
ZONES = st.timezones() | st.timedeltas(
    min_value=timedelta(hours=-23), max_value=timedelta(hours=23)
).map(timezone)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.binary(max_size=20)
    | st.datetimes(timezones=st.none() | ZONES)
    | st.dates()
    | st.times()
    | st.decimals()
    | st.uuids()
    | st.text(max_size=5).map(lazystr)
)
KEYS = TEXT | st.integers() | st.floats() | st.booleans() | st.none()
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=15,
)
#: The same as in the core's own property tests.
EXAMPLES = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@both
@EXAMPLES
@given(value=ANY)
def test_any_value_is_returned_as_by_celery(round_trip: RoundTrip, value: Any) -> None:
    """For generated values of any type and depth."""
    assert repr(celery_gives(value)) == repr(round_trip(value))


@EXAMPLES
@given(value=ANY)
def test_kombu_reads_the_json(value: Any) -> None:
    """It is the same JSON except for spaces, and the serializer reads Kombu's JSON too."""
    expected = repr(celery_gives(value))
    assert [expected, expected] == [
        repr(kombu_json.loads(encode_json(value))),
        repr(decode_json(kombu_json.dumps(value))),
    ]


@both
def test_original_value_is_not_changed(round_trip: RoundTrip) -> None:
    """It belongs to the task."""
    inner = {"at": UTC_NOON, 1: (Decimal(1),)}
    value = [inner, b"\xff"]
    round_trip(value)
    assert value[0] is inner
    assert [{"at": UTC_NOON, 1: (Decimal(1),)}, b"\xff"] == value


@both
def test_nesting_too_deep_for_msgspec_is_left_to_kombu(round_trip: RoundTrip) -> None:
    """Kombu's JSON goes deeper than Python's recursion limit lets the marking go."""
    value: Any = []
    for _ in range(850):
        value = [value]
    assert value == round_trip(value)


# -- A site's own types --------------------------------------------------------------


@pytest.fixture
def _mark_of_complex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers complex numbers with Kombu for the duration of a test."""
    for registry in ("_encoders", "_decoders"):
        monkeypatch.setattr(kombu_json, registry, dict(getattr(kombu_json, registry)))
    register: Any = kombu_json.register_type
    register(complex, "complex", str, complex)


@both
@pytest.mark.usefixtures("_mark_of_complex")
def test_type_registered_with_kombu_is_returned(round_trip: RoundTrip) -> None:
    """As with Celery's JSON."""
    assert {"z": 1 + 2j} == round_trip({"z": 1 + 2j})


class Shop(msgspec.Struct, rename="camel", tag="shop"):
    """A Struct with options of msgspec."""

    shop_name: str
    opened: date
    level: Level = Level.HIGH


@dataclass
class Line:
    """A line of an order."""

    price: Decimal
    label: Any = ""


@dataclass
class Order:
    """An order."""

    id: UUID
    at: datetime
    lines: list[Line] = field(default_factory=list)
    shop: Shop | None = None
    raw: bytes = b""


ORDER = Order(
    id=uuid4(),
    at=UTC_NOON,
    lines=[Line(Decimal("1.20"), gettext_lazy("Result"))],
    shop=Shop("Corner", date(2020, 1, 1)),
    raw=b"\xff",
)


@both
def test_dataclasses_and_structs_become_plain_data(round_trip: RoundTrip) -> None:
    """Also nested ones, and with values that JSON does not have."""
    expected = {
        "id": ORDER.id,
        "at": UTC_NOON,
        "lines": [{"price": Decimal("1.20"), "label": "Result"}],
        "shop": {"type": "shop", "shopName": "Corner", "opened": date(2020, 1, 1), "level": 3},
        "raw": b"\xff",
    }
    assert {"orders": [expected]} == round_trip({"orders": (ORDER,)})


@both
def test_plain_data_can_be_converted_back(round_trip: RoundTrip) -> None:
    """By msgspec, to the original type."""
    assert msgspec.convert(round_trip(ORDER), Order) == ORDER


@both
def test_dataclass_next_to_a_value_that_msgspec_cannot_hold(round_trip: RoundTrip) -> None:
    """Kombu's JSON writes both."""
    assert [{"price": Decimal(1), "label": ""}, "\ud800"] == round_trip(
        [Line(Decimal(1)), "\ud800"]
    )


# -- Unsupported values --------------------------------------------------------------


class Bare(enum.Enum):
    """An enum whose values are neither text nor JSON numbers."""

    ONE = 1


class Unknown:
    """A type that JSON cannot represent."""


@each_encoder
@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({1, 2}, "<class 'set'>"),
        ([frozenset()], "<class 'frozenset'>"),
        ({"a": timedelta(1)}, "<class 'datetime.timedelta'>"),
        (MappingProxyType({}), "<class 'mappingproxy'>"),
        (bytearray(b"x"), "<class 'bytearray'>"),
        (Bare.ONE, "Bare'>"),
        (Order, "<class 'type'>"),
        ([float("nan"), Unknown()], "Unknown'>"),
    ],
)
def test_unsupported_type_is_named(encode: Callable[[Any], object], value: Any, named: str) -> None:
    """Celery's JSON raises an error too; this one says what to do."""
    with pytest.raises(TypeError, match="cannot be serialized; convert it to plain data") as caught:
        encode(value)
    assert named in str(caught.value)
    with pytest.raises(TypeError):
        kombu_json.dumps(value)


@each_encoder
def test_unsupported_key_is_an_error(encode: Callable[[Any], object]) -> None:
    """As with Celery's JSON."""
    with pytest.raises(TypeError, match="keys must be str, int, float, bool or None, not tuple"):
        encode({(1, 2): 3})


@each_encoder
def test_circular_value_is_an_error(encode: Callable[[Any], object]) -> None:
    """As with Celery's JSON."""
    value: list[Any] = []
    value.append({"again": value})
    with pytest.raises(ValueError, match="Circular reference"):
        encode(value)
