"""Both serializers pass the suite for serializers, and behave like Celery's JSON."""

from __future__ import annotations

from django_celery_results.testing import SerializerConformance


class TestMsgspecJson(SerializerConformance):
    """Runs the suite with the serializer that writes text."""

    plugin = "msgspec"
    name = "msgspec-json"
    like_celery_json = True


class TestMsgspecMsgpack(SerializerConformance):
    """Runs the suite with the serializer that writes bytes."""

    plugin = "msgspec"
    name = "msgspec-msgpack"
    like_celery_json = True
