"""Values of every type, with every serializer: they come back as from Kombu itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kombu.exceptions import DecodeError, EncodeError
from kombu.serialization import dumps, loads

from tests.integration import tasks
from tests.integration.combinations import SERIALIZERS
from tests.integration.values import VALUES

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


def through_kombu(value: Any, serializer: str) -> Any:
    """Return ``value`` after Kombu has encoded and decoded it with a serializer."""
    content_type, encoding, payload = dumps(value, serializer=serializer)
    return loads(payload, content_type, encoding, force=True)


@pytest.mark.parametrize("serializer", SERIALIZERS)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_from_the_database(
    database_lab: Lab, name: str, serializer: str
) -> None:
    """A row gives back what the serializer makes of the value, or the serializer's error."""
    result: Any = tasks.VALUE_TASKS[serializer].delay(name)
    # The app's own backend uses the json serializer, but the row says how to read it.
    read = database_lab.app.AsyncResult(result.id)
    try:
        expected = through_kombu(VALUES[name], serializer)
    except EncodeError as error:
        actual = database_lab.error(read)
        # Kombu wraps the serializer's own error, and a failure keeps the repr of that.
        expected = ("FAILURE", "EncodeError", repr(error.args[0]))
        assert expected == (read.state, type(actual).__name__, str(actual))
    except DecodeError:
        with pytest.raises(DecodeError):
            database_lab.get(read)
    else:
        assert repr(expected) == repr(database_lab.get(read))


def test_every_value_comes_back_by_default(lab: Lab) -> None:
    """A cache gives back Python objects, any other backend what json makes of them."""
    beyond_json = () if lab.combination.keeps_objects else ("set", "complex")
    names = [name for name in VALUES if name not in beyond_json]
    results: Any = {name: tasks.value_of.delay(name) for name in names}
    actual = {name: lab.get(result) for name, result in results.items()}
    if lab.combination.keeps_objects:
        expected = VALUES
    else:
        expected = {name: through_kombu(VALUES[name], "json") for name in names}
    assert repr(expected) == repr(actual)


def test_a_result_object_comes_back_as_a_list(lab: Lab) -> None:
    """A task returned the result of another task, or of a group, which Celery stores as a tuple."""
    one = [["sent", [["its parent", None], None]], None]
    assert one == lab.get(tasks.send_and_give.delay(1))
    group = [["sent", None], [[["sent 0", None], None], [["sent 1", None], None]]]
    assert group == lab.get(tasks.send_and_give.delay(2))
