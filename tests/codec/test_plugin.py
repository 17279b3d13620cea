"""The built-in codec: serializers, codings, and text that every column can hold."""

from __future__ import annotations

import gzip
import json
import pickle
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from celery.utils.serialization import b64encode as celery_b64encode
from kombu.exceptions import EncodeError
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from django_celery_results.codec.plugin import IDENTITY, plugin
from django_celery_results.exceptions import HookError, ResultUnreadable
from django_celery_results.records import (
    PYTHON_CONTENT_TYPE,
    PYTHON_OBJECTS,
    Coding,
    Contents,
    split_encoding,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ANY = frozenset({*registry.type_to_name, "text/x-plain"})
REVERSED = Coding(name="reversed", encode=lambda it: it[::-1], decode=lambda it: it[::-1])
MARKED = Coding(name="marked", encode=lambda it: b"<" + it, decode=lambda it: it[1:])
INSTALLED = {one.name: one for one in [*plugin.contribute_codings(), REVERSED, MARKED]}
VALUES: dict[str, Any] = {
    "result": {"answer": 42},
    "traceback": "Traceback: …",
    "meta": {"children": []},
    "args": "(1, 2)",
    "kwargs": None,
}


def encode(
    values: Mapping[str, Any], serializer: str = "json", codings: Sequence[Coding] = ()
) -> Contents:
    """Encode like the hook."""
    return plugin.encode(values=values, serializer=serializer, codings=codings)


def decode(
    contents: Contents,
    accept: frozenset[str] | None = ANY,
    codings: Mapping[str, Coding] = INSTALLED,
) -> Mapping[str, Any]:
    """Decode like the hook."""
    return plugin.decode(contents=contents, accept=accept, codings=codings)


def contents(
    encoding: str, content_type: str = "application/json", **fields: str | None
) -> Contents:
    """Return the contents of a row."""
    return Contents(fields=fields, content_type=content_type, content_encoding=encoding)


@pytest.fixture
def plain_text() -> Iterator[str]:
    """The name of a serializer that stores text unchanged."""
    registry.register("plain", str, str, "text/x-plain", "utf-8")
    yield "plain"
    registry.unregister("plain")


# -- Without codings -----------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "yaml", "msgpack", "pickle"])
def test_every_serializer_reads_what_it_wrote(serializer: str) -> None:
    """These are all of Celery's."""
    assert VALUES == decode(encode(VALUES, serializer))


@pytest.mark.parametrize(
    ("serializer", "content_type", "encoding"),
    [
        ("json", "application/json", "utf-8"),
        ("yaml", "application/x-yaml", "utf-8"),
        ("msgpack", "application/x-msgpack", "binary"),
        ("pickle", "application/x-python-serialize", "binary"),
    ],
)
def test_types_and_encodings_are_those_of_2_6(
    serializer: str, content_type: str, encoding: str
) -> None:
    encoded = encode({"result": 1}, serializer)
    assert (content_type, encoding) == (encoded.content_type, encoded.content_encoding)


def test_text_is_stored_as_the_serializer_wrote_it() -> None:
    """People can read JSON in the database."""
    assert {"result": '{"a": 1}'} == encode({"result": {"a": 1}}).fields


def test_bytes_are_stored_as_base64() -> None:
    """2.6 stored a pickle so."""
    stored = encode({"result": {"a": 1}}, "pickle").fields["result"]
    assert {"a": 1} == pickle.loads(b64decode(stored))


def test_none_is_a_value_of_a_result() -> None:
    """It is serialized like any other."""
    assert {"result": "null"} == encode({"result": None}).fields


@pytest.mark.parametrize("name", ["traceback", "args", "kwargs"])
def test_none_is_not_stored_in_other_fields(name: str) -> None:
    """The column stays NULL."""
    assert {name: None, "result": "1"} == encode({name: None, "result": 1}).fields


def test_a_traceback_is_not_serialized() -> None:
    """It is text already."""
    assert "Traceback: ä" == encode({"result": 1, "traceback": "Traceback: ä"}).fields["traceback"]


def test_a_traceback_of_another_type_becomes_text() -> None:
    """Celery passes any type that it was given."""
    assert "5" == encode({"result": 1, "traceback": 5}).fields["traceback"]


def test_nul_in_a_traceback_is_escaped() -> None:
    """PostgreSQL would refuse the row."""
    assert "a\\x00" == encode({"result": 1, "traceback": "a\x00"}).fields["traceback"]


def test_an_escaped_traceback_needs_no_coding() -> None:
    """Only contents that must come back unchanged need one."""
    assert "utf-8" == encode({"result": 1, "traceback": "\ud800"}).content_encoding


def test_nothing_but_text_fields_keeps_the_serializers_type() -> None:
    """Contents always have a type."""
    encoded = encode({"traceback": "x"}, "pickle")
    assert "application/x-python-serialize" == encoded.content_type


def test_python_objects_are_left_alone() -> None:
    """Some storages can hold objects."""
    value = object()
    encoded = encode({"result": value}, PYTHON_OBJECTS)
    assert (value, PYTHON_CONTENT_TYPE) == (encoded.fields["result"], encoded.content_type)
    assert value is decode(encoded, accept=frozenset())["result"]


def test_a_value_that_cannot_be_serialized_raises_encode_error() -> None:
    """Celery then stores a failure."""
    with pytest.raises(EncodeError):
        encode({"result": object()})


# -- Text that no column can hold ----------------------------------------------------


@pytest.mark.parametrize("text", ["a\x00b", "lone \ud800", "both \x00\udfff"])
def test_unstorable_content_comes_back_unchanged(plain_text: str, text: str) -> None:
    """If the serializer does not escape, its text is stored as base64."""
    encoded = encode({"result": text}, plain_text)
    assert ("utf-8, identity", text) == (encoded.content_encoding, decode(encoded)["result"])


def test_unstorable_content_is_stored_as_ascii(plain_text: str) -> None:
    """The column gets only base64."""
    stored = encode({"result": "a\x00b"}, plain_text).fields["result"]
    assert b"a\x00b" == b64decode(stored)


def test_storable_content_of_that_serializer_stays_text(plain_text: str) -> None:
    """``identity`` is only for content that needs it."""
    encoded = encode({"result": "häßlich"}, plain_text)
    assert ("utf-8", "häßlich") == (encoded.content_encoding, encoded.fields["result"])


def test_a_traceback_next_to_unstorable_content_comes_back_unchanged(plain_text: str) -> None:
    """All fields of a row have the same codings."""
    values = {"result": "\x00", "traceback": "a\x00\ud800", "meta": "m"}
    assert values == decode(encode(values, plain_text))


# -- Codings -------------------------------------------------------------------------


def test_codings_are_applied_in_order() -> None:
    """The first coding gets the serializer's output."""
    stored = encode({"result": 12}, codings=[MARKED, REVERSED]).fields["result"]
    assert b"21<" == b64decode(stored)


def test_codings_are_named_in_order() -> None:
    """They follow the serializer's encoding, like HTTP's Content-Encoding."""
    assert "binary, reversed, marked" == (
        encode({"result": 1}, "pickle", [REVERSED, MARKED]).content_encoding
    )


@pytest.mark.parametrize("serializer", ["json", "yaml", "msgpack", "pickle"])
def test_codings_are_undone(serializer: str) -> None:
    """They are undone in the opposite order."""
    assert VALUES == decode(encode(VALUES, serializer, [REVERSED, MARKED]))


def test_every_column_is_coded() -> None:
    """An encrypted result must not show in the traceback either."""
    fields = encode(VALUES, codings=[REVERSED]).fields
    assert VALUES["traceback"] == b64decode(fields["traceback"] or "")[::-1].decode()
    assert VALUES["args"] == json.loads(b64decode(fields["args"] or "")[::-1])


def test_a_coding_must_return_bytes() -> None:
    """Text would be taken for content that was not coded. The error leaves out the value."""
    wrong: Any = Coding(name="wrong", encode=bytes.decode, decode=str.encode)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(HookError, match=r"'wrong' must return bytes, not str$"):
        encode(VALUES, codings=[wrong])


def test_none_is_not_coded() -> None:
    assert None is encode(VALUES, codings=[REVERSED]).fields["kwargs"]


def test_wanted_is_asked_once_with_the_size_of_all_contents() -> None:
    """The size is in bytes, before any coding."""
    asked: list[int] = []

    def wanted(size: int) -> bool:
        asked.append(size)
        return True

    coding = Coding(name="sized", encode=bytes, decode=bytes, wanted=wanted)
    encode({"result": "1234", "args": None, "traceback": "xyz"}, codings=[coding])
    assert [9] == asked


def test_an_unwanted_coding_is_left_out() -> None:
    """The row does not name it."""
    picky = Coding(name="picky", encode=bytes, decode=bytes, wanted=lambda size: size > 100)
    assert "utf-8, marked" == encode({"result": 1}, codings=[picky, MARKED]).content_encoding


def test_unstorable_text_is_safe_when_no_coding_is_wanted(plain_text: str) -> None:
    """``identity`` is used instead."""
    picky = Coding(name="picky", encode=bytes, decode=bytes, wanted=lambda _size: False)
    assert "utf-8, identity" == encode({"result": "\x00"}, plain_text, [picky]).content_encoding


@pytest.mark.parametrize("name", ["application/x-gzip", "application/x-bz2", "application/x-lzma"])
def test_kombus_compression_methods_are_codings(name: str) -> None:
    """At least those of Python's standard library are there."""
    coding = INSTALLED[name]
    assert b"text" == coding.decode(coding.encode(b"text"))


def test_identity_is_a_coding_that_changes_nothing() -> None:
    """It marks the content as base64."""
    assert b"x" == INSTALLED[IDENTITY].decode(INSTALLED[IDENTITY].encode(b"x"))


def test_rows_are_read_whatever_is_switched_on() -> None:
    """The row decides, not the settings."""
    stored = b64encode(gzip.compress(b"[1]")).decode()
    coding = Coding(name="gz", encode=gzip.compress, decode=gzip.decompress)
    assert {"result": [1]} == decode(contents("utf-8, gz", result=stored), codings={"gz": coding})


# -- Rows of 2.6 ---------------------------------------------------------------------


def test_text_rows_of_2_6_are_read() -> None:
    """JSON has the encoding utf-8."""
    assert {"result": [1], "meta": {}} == decode(contents("utf-8", result="[1]", meta="{}"))


def test_binary_rows_of_2_6_are_read() -> None:
    """The base64 comes from Celery's own helper."""
    stored = str(celery_b64encode(pickle.dumps({"a": 1})))
    row = contents("binary", "application/x-python-serialize", result=stored)
    assert {"result": {"a": 1}} == decode(row)


def test_an_encoding_in_capitals_is_read() -> None:
    """Kombu accepts it."""
    assert {"result": 1} == decode(contents("UTF-8", result="1"))


@pytest.mark.parametrize("encoding", ["utf-8", "binary", "utf-8, marked"])
def test_bare_reprs_are_read(encoding: str) -> None:
    """Releases before 2.0 did not serialize arguments, and a later write keeps earlier ones."""
    row = contents(encoding, args="(1, 'two')", kwargs="{'a': ...}")
    assert {"args": "(1, 'two')", "kwargs": "{'a': ...}"} == decode(row)


def test_an_absent_field_is_none() -> None:
    """The column is NULL."""
    assert {"result": None} == decode(contents("utf-8", result=None))


def test_empty_content_is_read_if_the_serializer_writes_it(plain_text: str) -> None:
    """The serializer may write nothing for an empty text."""
    encoded = encode({"result": ""}, plain_text, [INSTALLED[IDENTITY]])
    assert {"result": ""} == decode(encoded)


# -- What cannot be read -------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (contents("utf-8", result="{"), "result is corrupt"),
        (contents("utf-8", meta="{"), "meta is corrupt"),
        (contents("binary", "application/x-python-serialize", result="????"), "corrupt"),
        (contents("utf-8, reversed, application/x-gzip", result="eA=="), "corrupt"),
        (contents("utf-8, identity", result=""), "result is corrupt: ValueError: it is empty"),
        (contents("binary", "application/x-msgpack", result=""), "it is empty"),
        (contents("utf-8, rot13, marked", result="x"), "coding 'rot13' is not installed"),
        (contents("utf-8", "application/x-none", result="x"), "'application/x-none'"),
    ],
)
def test_an_error_names_what_is_wrong(row: Contents, named: str) -> None:
    """This is the field, the coding or the type."""
    with pytest.raises(ResultUnreadable, match=named):
        decode(row)


def test_a_missing_coding_names_those_installed() -> None:
    """The list shows a misspelt name."""
    with pytest.raises(ResultUnreadable, match="installed: marked"):
        decode(contents("utf-8, x", result="1"), codings={"marked": MARKED})


@pytest.mark.parametrize("field", ["result", "args"])
def test_a_type_that_is_not_accepted_is_refused(field: str) -> None:
    """Arguments are refused too: a pickle is dangerous in any field."""
    row = encode({field: 1, "result": 1}, "pickle")
    with pytest.raises(ResultUnreadable, match="result_accept_content"):
        decode(row, accept=frozenset({"application/json"}))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("utf-8", ("utf-8", ())),
        ("binary, zstd ,fernet", ("binary", ("zstd", "fernet"))),
        ("", ("utf-8", ())),
    ],
)
def test_an_encoding_is_split_at_its_commas(
    stored: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    """The first part is the serializer's encoding, the others are codings."""
    assert expected == split_encoding(stored)


# -- Codings that have to be worth it ------------------------------------------------

SMALLER = Coding(name="smaller", encode=gzip.compress, decode=gzip.decompress, only_if_smaller=True)


@pytest.mark.parametrize(("value", "encoding"), [("x" * 999, "utf-8, smaller"), ("x", "utf-8")])
def test_a_coding_is_kept_if_it_makes_contents_smaller(value: str, encoding: str) -> None:
    """Otherwise the record is stored without it."""
    assert encoding == encode({"result": value}, codings=[SMALLER]).content_encoding


def test_the_size_is_that_of_the_stored_text() -> None:
    """Bytes are stored as base64, which is a third longer."""
    shrunk = Coding(name="a-bit", encode=lambda it: it[9:], decode=bytes, only_if_smaller=True)
    text = encode({"result": "x" * 99}, codings=[shrunk])
    binary = encode({"result": "x" * 99}, "msgpack", codings=[shrunk])
    assert ("utf-8", "binary, a-bit") == (text.content_encoding, binary.content_encoding)


def test_all_contents_count_together() -> None:
    """A small field may grow if a large one shrinks more; None counts zero."""
    encoded = encode({"result": "x" * 999, "args": "()", "kwargs": None}, codings=[SMALLER])
    assert "utf-8, smaller" == encoded.content_encoding
