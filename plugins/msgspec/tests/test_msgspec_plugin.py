"""The plugin ``msgspec``: its serializers on both backends, selected, read and switched off."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from celery.app.task import Context
from django.core.cache import caches
from kombu.exceptions import EncodeError

from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

VALUE = {"at": datetime(2026, 3, 1, tzinfo=timezone.utc), "sum": Decimal("1.20"), "raw": b"\xff"}
URLS = ["django-db", "django-cache://default?serializer={}"]

each_name = pytest.mark.parametrize("name", ["msgspec-json", "msgspec-msgpack"])


def selected(name: str, *others: str) -> dict[str, Any]:
    """Return the Celery settings that select a serializer."""
    return {"result_serializer": name, "result_accept_content": [name, *others]}


@each_name
@pytest.mark.parametrize("url", URLS)
def test_result_is_read_back_as_stored(make_backend: MakeBackend, url: str, name: str) -> None:
    """On both backends."""
    caches["default"].clear()
    make_backend(url.format(name), **selected(name)).store_result("t1", VALUE, "SUCCESS")
    assert VALUE == make_backend(url.format(name), **selected(name)).get_result("t1")


@each_name
def test_none_and_arguments_are_read_back_as_stored(make_backend: MakeBackend, name: str) -> None:
    """Together with the rest of the row."""
    backend = make_backend(result_extended=True, **selected(name))
    request = Context({"task": "add", "argsrepr": "(1, 2)", "kwargsrepr": "{}", "meta": {"a": 1}})
    backend.store_result("t1", None, "SUCCESS", request=request)
    meta = backend.get_task_meta("t1", cache=False)
    expected = ("SUCCESS", None, "(1, 2)", "{}", 1)
    assert expected == (meta["status"], meta["result"], meta["args"], meta["kwargs"], meta["a"])


@each_name
def test_failure_is_read_back_as_its_exception(make_backend: MakeBackend, name: str) -> None:
    """As with Celery's JSON: the class, module and arguments."""
    for task_id, serializer in [("theirs", "json"), ("ours", name)]:
        backend = make_backend(**selected(serializer))
        backend.store_result(task_id, KeyError("é", 5, VALUE["at"]), "FAILURE", traceback="…")
    own = make_backend(**selected(name, "json"))
    theirs, ours = (own.get_task_meta(one, cache=False) for one in ("theirs", "ours"))
    assert (KeyError, ("é", 5, VALUE["at"])) == (type(ours["result"]), ours["result"].args)
    assert (type(theirs["result"]), theirs["result"].args) == (KeyError, ours["result"].args)


@dataclass
class Account:
    """Defines its own JSON representation."""

    name: str
    note: str = "own"

    def __json__(self) -> dict[str, str]:
        return {"name": self.name}


@dataclass
class Report:
    """Contains an Account."""

    account: Account


@each_name
def test_only_the_outermost_dataclass_uses_its_own_json(
    make_backend: MakeBackend, name: str
) -> None:
    """As documented; inside it, msgspec applies its own rules."""
    backend = make_backend(**selected(name))
    backend.store_result("t1", [Account("a"), Report(Account("b"))], "SUCCESS")
    expected = [{"name": "a"}, {"account": {"name": "b", "note": "own"}}]
    assert expected == backend.get_result("t1")


@pytest.mark.parametrize(
    ("name", "content_type", "encoding", "text"),
    [
        ("msgspec-json", "application/x-msgspec+json", "utf-8", '{"é":[1,null]}'),
        (
            "msgspec-msgpack",
            "application/x-msgspec+msgpack",
            "binary",
            b64encode(b"\x81\xa2\xc3\xa9\x92\x01\xc0").decode(),
        ),
    ],
)
def test_row_names_its_serializer(
    make_backend: MakeBackend, name: str, content_type: str, encoding: str, text: str
) -> None:
    """No setting is needed to decode it."""
    make_backend(**selected(name)).store_result("t1", {"é": (1, None)}, "SUCCESS")
    row = TaskResult.objects.get(task_id="t1")
    assert (content_type, encoding, text) == (row.content_type, row.content_encoding, row.result)


@each_name
def test_unsupported_value_is_an_encode_error(make_backend: MakeBackend, name: str) -> None:
    """Celery stores it as the task's failure."""
    with pytest.raises(EncodeError, match=r"an object of <class 'set'> cannot be serialized"):
        make_backend(**selected(name)).store_result("t1", {1, 2}, "SUCCESS")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("msgspec-json", '{"a": '),
        ("msgspec-msgpack", b64encode(b"\x92\x01").decode()),
        ("msgspec-msgpack", "no base64"),
    ],
)
def test_corrupt_content_is_an_error_that_names_the_task(
    make_backend: MakeBackend, name: str, text: str
) -> None:
    """Other tasks stay readable."""
    backend = make_backend(**selected(name))
    backend.store_result("t1", VALUE, "SUCCESS")
    TaskResult.objects.update(result=text)
    with pytest.raises(ResultUnreadable, match=r"'t1' .* result is corrupt: \w*Error: ."):
        backend.get_result("t1")


# -- Off -----------------------------------------------------------------------------


@each_name
@pytest.mark.parametrize("keys", [{}, {"DISABLED_PLUGINS": ["msgspec"]}], ids=["unused", "off"])
def test_old_rows_are_readable_when_it_is_off(
    configure: Configure, make_backend: MakeBackend, keys: dict[str, Any], name: str
) -> None:
    """Another serializer is selected, or the plugin is disabled."""
    make_backend(**selected(name)).store_result("t1", VALUE, "SUCCESS")
    configure(**keys)
    assert VALUE == make_backend(**selected("json", name)).get_result("t1")


@each_name
def test_serializer_that_is_not_accepted_is_named(make_backend: MakeBackend, name: str) -> None:
    """Like any other, it has to be in ``result_accept_content``."""
    make_backend(**selected(name)).store_result("t1", VALUE, "SUCCESS")
    with pytest.raises(ResultUnreadable, match=r"msgspec\+\w+' is not accepted; add its serial"):
        make_backend(**selected("json")).get_result("t1")


@each_name
def test_selecting_it_while_disabled_is_an_error(
    configure: Configure, make_backend: MakeBackend, name: str
) -> None:
    """No other serializer silently takes its place."""
    configure(DISABLED_PLUGINS=["msgspec"])
    with pytest.raises(BackendMisconfigured, match=rf"serializer '{name}'"):
        make_backend(**selected(name))
