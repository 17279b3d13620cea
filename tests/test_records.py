"""The records that hooks take and return: validated at creation, and frozen where required."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from celery import states

from django_celery_results.records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Coding,
    Contents,
    Expiry,
    ExpiryBatch,
    GroupRecord,
    Retention,
    Serializer,
    StorageLocation,
    StoredGroup,
    StoredTask,
    TaskRecord,
    leaf_ids,
)

CONTENTS = Contents(
    fields={"result": "1"}, content_type="application/json", content_encoding="utf-8"
)
SERIALIZER: dict[str, Any] = {
    "name": "repr",
    "encode": repr,
    "decode": eval,
    "content_type": "text/x-python",
}
CODING: dict[str, Any] = {"name": "same", "encode": bytes, "decode": bytes}

MUTABLE = [
    TaskRecord(task_id="1", status="STARTED"),
    StoredTask(task_id="1", status="SUCCESS", contents=CONTENTS),
    GroupRecord(group_id="1", result=[]),
    StoredGroup(group_id="1", contents=CONTENTS),
]
FROZEN = [
    CONTENTS,
    Retention(seconds=1),
    ChordRecord(group_id="1", size=1, results=[]),
    ChordPart(group_id="1", task_id="1", status="SUCCESS"),
    ChordProgress(group_id="1", waiting=0),
    ExpiryBatch(storage="django-db", kind="task", ids=["1"]),
    Expiry(expires=None, batch_size=1),
    StorageLocation(name="django-db"),
    Serializer(**SERIALIZER),
    Coding(**CODING),
]


def named(record: object) -> str:
    """The name of a record's class."""
    return type(record).__name__


@pytest.mark.parametrize("status", sorted(states.ALL_STATES))
def test_ready_states_are_celerys(status: str) -> None:
    """They are SUCCESS, FAILURE and REVOKED."""
    ready = TaskRecord(task_id="1", status=status).is_ready
    assert (status in {"SUCCESS", "FAILURE", "REVOKED"}) == ready


@pytest.mark.parametrize("record", FROZEN, ids=named)
def test_record_that_plugins_may_not_change_is_frozen(record: object) -> None:
    """Setting any attribute raises an error."""
    with pytest.raises((FrozenInstanceError, TypeError)):
        setattr(record, next(iter(type(record).__dataclass_fields__)), "other")  # type: ignore[attr-defined]  # all are dataclasses


@pytest.mark.parametrize("record", [*MUTABLE, *FROZEN[:8]], ids=named)
def test_record_survives_pickling(record: object) -> None:
    """A storage may pickle it to keep it."""
    assert record == pickle.loads(pickle.dumps(record))


@pytest.mark.parametrize("record", MUTABLE, ids=named)
def test_record_has_no_room_for_a_misspelling(record: Any) -> None:
    """Setting an attribute that does not exist raises an error."""
    with pytest.raises(AttributeError):
        record.reslut = 1


@pytest.mark.parametrize("record", [*MUTABLE, *FROZEN], ids=named)
def test_record_takes_keywords_only(record: object) -> None:
    """New fields can then be added at any position."""
    with pytest.raises(TypeError, match="positional"):
        type(record)("1")  # type: ignore[call-arg]  # the tested call


def test_location_has_no_options_by_default() -> None:
    """Two locations do not share one mapping."""
    first, second = StorageLocation(name="one"), StorageLocation(name="two")
    assert {} == first.options == second.options
    assert first.options is not second.options


@pytest.mark.parametrize(("content_type", "encoding"), [("", "utf-8"), ("application/json", "")])
def test_contents_say_how_to_read_them(content_type: str, encoding: str) -> None:
    """Both the type and the encoding are required."""
    with pytest.raises(ValueError, match="content_encoding must not be empty"):
        Contents(fields={}, content_type=content_type, content_encoding=encoding)


@pytest.mark.parametrize("seconds", [None, 0, 0.5, 86400])
def test_retention_is_a_time_or_for_ever(seconds: float | None) -> None:
    """A time may be zero or a fraction of a second."""
    assert seconds == Retention(seconds=seconds).seconds


def test_retention_is_not_negative() -> None:
    """A result cannot have expired before it was stored."""
    with pytest.raises(ValueError, match=r"Retention\.seconds cannot be negative: -1"):
        Retention(seconds=-1)


@pytest.mark.parametrize("name", ["", "two words", "a,b", "x" * 41, None, 'quo"te'])
@pytest.mark.parametrize(("kind", "fields"), [(Serializer, SERIALIZER), (Coding, CODING)])
def test_contribution_has_a_name_that_can_be_stored(
    kind: type, fields: dict[str, Any], name: object
) -> None:
    """A comma separates codings, so a name must not contain one."""
    with pytest.raises(ValueError, match="is invalid: use 1 to 40 letters"):
        kind(**{**fields, "name": name})


@pytest.mark.parametrize("function", ["encode", "decode"])
@pytest.mark.parametrize(("kind", "fields"), [(Serializer, SERIALIZER), (Coding, CODING)])
def test_contribution_has_both_directions(
    kind: type, fields: dict[str, Any], function: str
) -> None:
    """Contents that cannot be decoded must not be encoded."""
    with pytest.raises(ValueError, match="its functions must be callable"):
        kind(**{**fields, function: "no function"})


@pytest.mark.parametrize("content_type", ["", "json", "text/", "text/a b", "text/a/b"])
def test_serializer_has_a_mime_type(content_type: str) -> None:
    """It identifies the serializer's results."""
    with pytest.raises(ValueError, match="is not a MIME type"):
        Serializer(**{**SERIALIZER, "content_type": content_type})


def test_serializer_gives_text_or_bytes() -> None:
    """The encoding says which of them it returns."""
    with pytest.raises(ValueError, match="'latin-1' is not one of utf-8, us-ascii, binary"):
        Serializer(**{**SERIALIZER, "content_encoding": "latin-1"})


@pytest.mark.parametrize("name", ["utf-8", "us-ascii", "binary"])
def test_coding_is_not_called_like_a_serializers_encoding(name: str) -> None:
    """Otherwise, the first word of ``content_encoding`` would be ambiguous."""
    with pytest.raises(ValueError, match="the name is reserved for serializers"):
        Coding(**{**CODING, "name": name})


def test_leaf_ids_opens_groups_in_order() -> None:
    """Groups inside groups are included."""
    inner = [["g2", None], [[["c", None], None]]]
    outer = [["g1", None], [[["b", None], None], inner]]
    assert ["a", "b", "c", "d"] == leaf_ids([[["a", None], None], outer, [["d", "a"], None]])


def test_leaf_ids_of_an_empty_group() -> None:
    """The result is empty."""
    assert [] == leaf_ids([[["g", None], []]])


def state(
    fields: Mapping[str, str | None], content_encoding: str = "utf-8", **facts: Any
) -> StoredTask:
    """Return a task in a state."""
    contents = Contents(
        fields=fields, content_type="application/json", content_encoding=content_encoding
    )
    return StoredTask(task_id="task", status="STARTED", contents=contents, **facts)


def test_state_is_completed_by_an_earlier_one() -> None:
    """Its own values stay; missing ones come from the earlier state, except for other contents."""
    fields = {"result": "1", "traceback": "T", "args": "()", "kwargs": "{}"}
    earlier = state(fields, name="its name", worker="one", queue="slow")
    later = state({"result": "2", "traceback": None, "args": "(3,)", "kwargs": None}, worker="two")

    known = later.with_known(earlier)

    assert ("its name", "two", None) == (known.name, known.worker, known.queue)
    expected = {"result": "2", "traceback": None, "args": "(3,)", "kwargs": "{}"}
    assert expected == known.contents.fields


def test_arguments_that_were_encoded_otherwise_are_left_out() -> None:
    """The later state's codings could not decode them."""
    earlier = state({"args": "KDMsKQ=="}, "utf-8, gzip", name="its name")

    known = state({"args": None}).with_known(earlier)

    assert ("its name", {"args": None}) == (known.name, known.contents.fields)


def test_state_without_an_earlier_one_is_complete() -> None:
    """The result is the same object."""
    first = state({})

    assert first is first.with_known(None)


def test_a_batch_of_an_expiry_is_made_once_unless_it_says_otherwise() -> None:
    """An ``Expiry`` that is created directly does not repeat its batches."""
    made: list[int] = []
    Expiry(expires=None, batch_size=1).repeat(lambda: made.append(1))
    assert [1] == made
