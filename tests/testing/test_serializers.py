"""Celery's serializers, through the built-in codec, and the one in the documentation."""

from __future__ import annotations

from typing import Any

import pytest

from django_celery_results.testing import SerializerConformance
from django_celery_results.testing.serializers import PLAIN_VALUES


class TestJSON(SerializerConformance):
    """Celery's default serializer."""

    plugin = "codec"
    name = "json"
    like_celery_json = True


class TestMessagePack(SerializerConformance):
    """A serializer that gives bytes."""

    plugin = "codec"
    name = "msgpack"


class TestYAML(SerializerConformance):
    """A serializer that does not notice corruption: to it, half a list is a list."""

    plugin = "codec"
    name = "yaml"
    detects_corruption = False


class Unpicklable:
    """Refuses to be pickled."""

    def __reduce__(self) -> Any:
        raise TypeError("this one stays where it is")


class TestPickle(SerializerConformance):
    """A serializer that keeps nearly every object."""

    plugin = "codec"
    name = "pickle"
    values = (*PLAIN_VALUES, {1, 2}, (1, (2,)), b"\x00", 1j, ...)
    refused = (lambda: None, Unpicklable())


class TestLiteral(SerializerConformance):
    """The example in the documentation."""

    plugin = "myplugins.literal_serializer"
    name = "literal"
    values = (*PLAIN_VALUES, {1, 2}, (1, (2,)), b"\x00", {1: {2: 3}})


class CannotBeTold(SerializerConformance):
    """A suite whose plugin is a function without a name, which cannot be pickled."""

    plugin = staticmethod(lambda: None)


def test_plugin_that_no_other_process_can_have_is_passed_over() -> None:
    """The skip's reason says what would help."""
    with pytest.raises(pytest.skip.Exception, match="name its module instead: Can't"):
        CannotBeTold().in_another_process(len)
