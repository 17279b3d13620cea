"""Serializers with one fault each, and the tests of the suite that find the fault."""

from __future__ import annotations

import json
import time
from typing import Any

from django_celery_results import hookimpl
from django_celery_results.records import Serializer
from django_celery_results.testing import SerializerConformance


class Broken:
    """A JSON serializer with one fault."""

    def __init__(self, **fault: Any) -> None:
        self.fault = fault

    @hookimpl
    def contribute_serializers(self) -> list[Serializer]:
        """Offer the serializer ``broken``."""
        sound = {"encode": json.dumps, "decode": json.loads, "content_type": "text/x-broken"}
        return [Serializer(name="broken", **{**sound, **self.fault})]


def _sort(value: Any) -> str:
    if isinstance(value, list):
        value.append("was here")
    return json.dumps(value)


def _flat(value: Any) -> Any:
    """Return ``value`` with numbers in place of the booleans in its lists."""
    if isinstance(value, dict):
        return {key: _flat(one) for key, one in value.items()}
    if isinstance(value, list):
        return [int(one) if isinstance(one, bool) else _flat(one) for one in value]
    return value


class Shared:
    """Keeps the value between two steps, where another thread can replace it."""

    value: Any = None

    def encode(self, value: Any) -> str:
        """Encode in two steps."""
        self.value = value
        time.sleep(0.001)
        return json.dumps(self.value)


SEEN: dict[str, Any] = {}


class Remembering:
    """Keeps the values in memory, and encodes a ticket in place of each."""

    @hookimpl
    def contribute_serializers(self) -> list[Serializer]:
        """Offer the serializer ``remembering``."""
        return [
            Serializer(
                name="remembering",
                encode=self.encode,
                decode=self.decode,
                content_type="text/x-ticket",
            )
        ]

    def encode(self, value: Any) -> str:
        """Keep the value and return its ticket."""
        ticket = json.dumps(value)
        SEEN[ticket] = value
        return ticket

    def decode(self, ticket: str) -> Any:
        """Return the value of the ticket."""
        return SEEN[ticket]


def _lenient(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class TestSound(SerializerConformance):
    """The suite reports nothing for a serializer without a fault."""

    plugin = Broken()
    name = "broken"
    finds = frozenset[str]()


class TestForgetsNone(SerializerConformance):
    """It encodes ``None`` as an empty text."""

    plugin = Broken(encode=lambda value: "" if value is None else json.dumps(value))
    name = "broken"
    finds = frozenset(
        {
            "test_none_is_a_value",
            "test_value_comes_back",
            "test_values_come_back_through_a_coding",
        }
    )


class TestKeepsWhatItCannotKeep(SerializerConformance):
    """It encodes the repr of objects that it should refuse."""

    plugin = Broken(encode=lambda value: json.dumps(value, default=repr))
    name = "broken"
    finds = frozenset({"test_what_cannot_be_kept_is_refused"})


class TestClaimsTooMuch(SerializerConformance):
    """It claims to be like Celery's JSON, but is plain JSON."""

    plugin = Broken()
    name = "broken"
    like_celery_json = True
    finds = frozenset({"test_celery_value_comes_back_as_from_json"})


class TestSaysTextAndGivesBytes(SerializerConformance):
    """It declares text, but gives bytes."""

    plugin = Broken(encode=lambda value: json.dumps(value).encode())
    name = "broken"
    finds = frozenset(
        {
            "test_all_values_of_a_record_come_back",
            "test_backend_keeps_a_failure",
            "test_backend_keeps_a_result",
            "test_none_is_a_value",
            "test_payload_is_as_declared",
            "test_threads_do_not_meet",
            "test_value_comes_back",
        }
    )


class TestChangesTheValue(SerializerConformance):
    """It adds an item to the task's own list."""

    plugin = Broken(encode=_sort)
    name = "broken"
    finds = frozenset({"test_values_are_left_as_they_are"})


class TestReadsAnything(SerializerConformance):
    """It decodes corrupt content to ``None``."""

    plugin = Broken(decode=_lenient)
    name = "broken"
    finds = frozenset({"test_corrupt_content_is_an_error"})


class TestHasNoBooleans(SerializerConformance):
    """It turns booleans in a list into numbers, which are equal to them."""

    plugin = Broken(encode=lambda value: json.dumps(_flat(value)))
    name = "broken"
    finds = frozenset({"test_value_comes_back"})


class TestIsSharedByThreads(SerializerConformance):
    """It keeps the value in one object that all threads share."""

    plugin = Broken(encode=Shared().encode)
    name = "broken"
    finds = frozenset({"test_threads_do_not_meet"})


class TestRemembers(SerializerConformance):
    """Only the process that stored a value can decode it."""

    plugin = Remembering()
    name = "remembering"
    finds = frozenset({"test_another_process_can_read"})
