"""The built-in codec: JSON, of which all values of a row are written and read at once."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs
from kombu.utils.json import dumps, loads

from django_celery_results.codec import JSON, MARK
from django_celery_results.exceptions import ResultUnreadable

from .test_codec import VALUES, contents, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("result", "meta"), [("[1", "2]"), ('"a', 'b"'), ("1, 2", "3"), ("1,", "2")]
)
def test_texts_are_read_at_once_only_if_each_is_json(result: str, meta: str) -> None:
    """What would be JSON in one row with its neighbour is as corrupt as it is alone."""
    with pytest.raises(ResultUnreadable, match="result is corrupt"):
        decode(contents("utf-8", result=result, meta=meta))


@pytest.fixture
def own_json(request: pytest.FixtureRequest) -> Iterator[None]:
    """A site's own writer and reader of JSON, registered over Kombu's."""
    registry.register("json", *request.param, JSON, "utf-8")
    yield
    registry.register("json", dumps, loads, JSON, "utf-8")


def _of_mappings_and_text(value: Any) -> str:
    """Write JSON as who takes no list."""
    if isinstance(value, list):
        raise TypeError("no lists")
    return dumps(value)


@pytest.mark.parametrize(
    ("own_json", "expected"),
    [
        ((dumps, partial(json.loads, parse_int=str)), {"answer": "42"}),
        ((dumps, lambda text: {"read": text}), {"read": '{"answer": 42}'}),
        ((dumps, lambda text: [json.loads(text)]), [{"answer": 42}]),
        ((partial(json.dumps, separators=(",", ":")), loads), {"answer": 42}),
        ((partial(json.dumps, indent=2), loads), {"answer": 42}),
        ((_of_mappings_and_text, loads), {"answer": 42}),
        ((lambda value: json.dumps([value]), loads), [{"answer": 42}]),
        ((lambda value: json.dumps({"v": value}), loads), {"v": {"answer": 42}}),
        ((lambda value: f" {json.dumps(value)}", loads), {"answer": 42}),
        ((lambda value: json.dumps(value).replace("a", "b"), loads), {"bnswer": 42}),
    ],
    indirect=["own_json"],
)
@pytest.mark.usefixtures("own_json")
def test_a_sites_own_json_is_used(expected: object) -> None:
    """Also where it does something else with what stands around the value."""
    assert expected == decode(encode(VALUES))["result"]


def test_json_is_written_as_if_each_value_were_alone() -> None:
    """Whatever stands in it, between the marks that are put around it."""
    values = {"result": ['", "', MARK[:-1], {"[": "]"}], "meta": {"children": []}, "args": MARK}
    expected = {name: dumps(value) for name, value in values.items()}
    assert expected == dict(encode(values).fields)
