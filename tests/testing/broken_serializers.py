"""Serializers with a fault each, and the tests of the suite that find it."""

from __future__ import annotations

import json
import time
from typing import Any

from django_celery_results import hookimpl
from django_celery_results.records import Serializer
from django_celery_results.testing import SerializerConformance


class Broken:
    """JSON, but for one fault."""

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
    """Return ``value`` with numbers for the booleans within it."""
    if isinstance(value, dict):
        return {key: _flat(one) for key, one in value.items()}
    if isinstance(value, list):
        return [int(one) if isinstance(one, bool) else _flat(one) for one in value]
    return value


class Shared:
    """Keeps between two steps what another thread may take for its own."""

    value: Any = None

    def encode(self, value: Any) -> str:
        """Encode in two steps."""
        self.value = value
        time.sleep(0.001)
        return json.dumps(self.value)


SEEN: dict[str, Any] = {}


class Remembering:
    """Keeps the values, and gives out tickets for them."""

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
        """Give a ticket."""
        ticket = json.dumps(value)
        SEEN[ticket] = value
        return ticket

    def decode(self, ticket: str) -> Any:
        """Take one."""
        return SEEN[ticket]


def _lenient(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


class TestSound(SerializerConformance):
    """Without a fault nothing is found."""

    plugin = Broken()
    name = "broken"
    finds = frozenset[str]()


class TestForgetsNone(SerializerConformance):
    """``None`` becomes an empty text."""

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
    """Objects become their repr."""

    plugin = Broken(encode=lambda value: json.dumps(value, default=repr))
    name = "broken"
    finds = frozenset({"test_what_cannot_be_kept_is_refused"})


class TestClaimsTooMuch(SerializerConformance):
    """It is not at all like Celery's JSON."""

    plugin = Broken()
    name = "broken"
    like_celery_json = True
    finds = frozenset({"test_celery_value_comes_back_as_from_json"})


class TestSaysTextAndGivesBytes(SerializerConformance):
    """The declared encoding is not what it gives."""

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
    """The task's own list is longer afterwards."""

    plugin = Broken(encode=_sort)
    name = "broken"
    finds = frozenset({"test_values_are_left_as_they_are"})


class TestReadsAnything(SerializerConformance):
    """What is corrupt becomes ``None``."""

    plugin = Broken(decode=_lenient)
    name = "broken"
    finds = frozenset({"test_corrupt_content_is_an_error"})


class TestHasNoBooleans(SerializerConformance):
    """Within a list they become numbers, which are equal to them."""

    plugin = Broken(encode=lambda value: json.dumps(_flat(value)))
    name = "broken"
    finds = frozenset({"test_value_comes_back"})


class TestIsSharedByThreads(SerializerConformance):
    """One object for all."""

    plugin = Broken(encode=Shared().encode)
    name = "broken"
    finds = frozenset({"test_threads_do_not_meet"})


class TestRemembers(SerializerConformance):
    """Only the process that stored a value has it."""

    plugin = Remembering()
    name = "remembering"
    finds = frozenset({"test_another_process_can_read"})
