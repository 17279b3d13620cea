"""A serializer: Python literals, so that tuples, sets and bytes come back unchanged."""

from ast import literal_eval

from django_celery_results import hookimpl
from django_celery_results.records import Serializer


def encode(value):
    """Return the value's repr; raise ``ValueError`` if it cannot be read back."""
    text = repr(value)
    literal_eval(text)
    return text


@hookimpl
def contribute_serializers():
    """Contribute the serializer ``literal``."""
    yield Serializer(
        name="literal",
        encode=encode,
        decode=literal_eval,
        content_type="text/x-python-literal",
    )
