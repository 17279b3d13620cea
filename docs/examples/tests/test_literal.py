"""Tests of the serializer ``literal``."""

from django_celery_results.testing import PLAIN_VALUES, SerializerConformance


class TestLiteral(SerializerConformance):
    """The tests of every serializer, also with sets, tuples and bytes."""

    plugin = "myplugins.literal_serializer"
    name = "literal"
    values = (*PLAIN_VALUES, {1, 2}, (1, (2,)), b"\x00", {1: {2: 3}})
