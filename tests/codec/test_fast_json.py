"""The built-in codec: JSON, written and read by Kombu's encoder and decoder."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from kombu.exceptions import EncodeError
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs
from kombu.utils.json import dumps, loads

from django_celery_results.codec.fast_json import CONTENT_TYPE, reads, writes
from django_celery_results.exceptions import ResultUnreadable

from .test_plugin import VALUES, contents, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator


class Own:
    """A value that says what it is in JSON, as Kombu asks it."""

    def __json__(self) -> dict[str, int]:
        return {"own": 1}


EVERYTHING: list[Any] = [
    None, "", "ü\x00\ud800", 2**70, 1e400, {"1": [{}], "": None}, (1, 2), b"\xff", Own(),
    datetime(2026, 2, 28, 1, 2, 3, 4, timezone.utc), Decimal("1.10"), UUID(int=5),
    {"__type__": "bytes", "__value__": "abc"},
]  # fmt: skip


@pytest.fixture
def own_json(request: pytest.FixtureRequest) -> Iterator[None]:
    """A site's own writer and reader of JSON, registered over Kombu's."""
    registry.register("json", *request.param, CONTENT_TYPE, "utf-8")
    yield
    registry.register("json", dumps, loads, CONTENT_TYPE, "utf-8")


@pytest.mark.parametrize(
    ("own_json", "expected"),
    [
        ((dumps, partial(json.loads, parse_int=str)), {"answer": "42"}),
        ((dumps, lambda text: [json.loads(text)]), [{"answer": 42}]),
        ((lambda value: json.dumps([value]), loads), [{"answer": 42}]),
        ((lambda value: json.dumps({"v": value}), loads), {"v": {"answer": 42}}),
        ((lambda value: json.dumps(value).replace("a", "b"), loads), {"bnswer": 42}),
    ],
    indirect=["own_json"],
)
@pytest.mark.usefixtures("own_json")
def test_a_sites_own_json_is_used(expected: object) -> None:
    """For writing and for reading, each by itself."""
    assert expected == decode(encode(VALUES))["result"]


@pytest.mark.parametrize("value", EVERYTHING, ids=repr)
def test_json_is_what_kombu_makes_it(value: Any) -> None:
    """Whatever Kombu can write, it writes to the same text and reads as the same value."""
    text = encode({"result": value}).fields["result"]
    assert dumps(value) == text
    assert repr(loads(text)) == repr(decode(contents("utf-8", result=text))["result"])


def test_kombus_inner_names_tell_whose_json_it_is() -> None:
    """Kombu's serializer is recognised, for writing and for reading."""
    assert [True, False] == [writes(serializer) for serializer in ("json", "pickle")]
    assert reads()


def test_without_kombus_inner_names_kombu_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are private to it, and may be gone one day."""
    asked: list[str] = []

    class OtherRegistry:
        """A registry that keeps what it knows elsewhere."""

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            asked.append(name)
            return getattr(registry, name)

    other = OtherRegistry()
    monkeypatch.setattr("django_celery_results.codec.fast_json.registry", other)
    monkeypatch.setattr("django_celery_results.codec.plugin.registry", other)
    assert VALUES == decode(encode(VALUES))
    assert {"dumps", "loads"} <= set(asked)


@pytest.mark.parametrize("text", ["[1", "2]", '"a', "1, 2", "1 2", "NaN,", "\ufeff1"])
def test_what_is_not_json_alone_is_corrupt(text: str) -> None:
    """Also where what stands in front of the rest is JSON."""
    with pytest.raises(ResultUnreadable, match="result is corrupt"):
        decode(contents("utf-8", result=text, meta="{}"))


def test_white_space_around_json_is_nothing() -> None:
    """As Kombu reads what was written by hand."""
    assert {"result": [1]} == decode(contents("utf-8", result=" [1]\n"))


def test_what_json_cannot_hold_is_kombus_error() -> None:
    """Which tells Celery to reduce the value."""
    with pytest.raises(EncodeError, match="not JSON serializable"):
        encode({"result": object()})
