"""Both serializers are what every serializer has to be, and like Celery's JSON."""

from __future__ import annotations

from django_celery_results.testing import SerializerConformance


class TestMsgspecJson(SerializerConformance):
    """The one that writes text."""

    plugin = "msgspec"
    name = "msgspec-json"
    like_celery_json = True


class TestMsgspecMsgpack(SerializerConformance):
    """The one that writes bytes."""

    plugin = "msgspec"
    name = "msgspec-msgpack"
    like_celery_json = True
