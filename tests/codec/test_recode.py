"""Contents with other codings, from which the same values are read."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from django_celery_results import hookimpl
from django_celery_results.codec import codings_for, recode
from django_celery_results.codec.plugin import plugin
from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.records import Coding, Contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_celery_results.testing.fixtures import Register

#: Each adds its mark in front of its input, and looks for the mark when it is undone.
ROLLED = Coding(name="rolled", encode=lambda it: b"<" + it, decode=lambda it: _without(b"<", it))
HELD = Coding(name="held", encode=lambda it: b"[" + it, decode=lambda it: _without(b"[", it))
ANY = frozenset(registry.type_to_name)
CODINGS = {one.name: one for one in [*plugin.contribute_codings(), ROLLED, HELD]}
VALUES: dict[str, Any] = {
    "result": {"answer": "ä\ud800"},
    "traceback": "Traceback: ü",
    "meta": {"children": []},
    "args": "(1, 2)",
    "kwargs": None,
}


def _without(mark: bytes, content: bytes) -> bytes:
    if not content.startswith(mark):
        raise ValueError("no mark")
    return content[1:]


def encoded(serializer: str, *names: str) -> Contents:
    """Return the values encoded with these codings."""
    return plugin.encode(
        values=VALUES, serializer=serializer, codings=[CODINGS[name] for name in names]
    )


def read(contents: Contents) -> Mapping[str, Any]:
    """Return the values decoded from the contents."""
    return plugin.decode(contents=contents, accept=ANY, codings=CODINGS)


def contents(encoding: str, **fields: str | None) -> Contents:
    """Return the contents of a row."""
    return Contents(fields=fields, content_type="application/json", content_encoding=encoding)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize(
    ("before", "kept", "names", "after"),
    [
        ((), 0, ("held",), ("held",)),
        (("rolled",), 0, ("held",), ("held",)),
        (("rolled",), 0, ("held", "rolled"), ("held", "rolled")),
        (("rolled",), 1, ("held",), ("rolled", "held")),
        (("rolled", "held"), 1, ("held",), ("rolled", "held")),
        (("rolled", "held"), 1, (), ("rolled",)),
    ],
)
def test_the_same_is_read_under_other_codings(
    serializer: str, before: tuple[str, ...], kept: int, names: tuple[str, ...], after: Any
) -> None:
    """Any codings may be undone, and any may stay."""
    changed = recode(encoded(serializer, *before), kept, names, CODINGS)
    own = "utf-8" if serializer == "json" else "binary"
    assert ", ".join([own, *after]) == changed.content_encoding
    assert VALUES == read(changed)


def test_recoded_contents_equal_contents_written_that_way() -> None:
    assert encoded("json", "held") == recode(encoded("json", "rolled"), 0, ("held",), CODINGS)


def test_without_codings_unstorable_text_stays_in_base64() -> None:
    """It is base64 when it is first written too."""
    row = encoded("yaml", "rolled")
    assert encoded("yaml").content_encoding == recode(row, 0, (), CODINGS).content_encoding
    assert VALUES == read(recode(row, 0, (), CODINGS))


def test_a_coding_that_is_kept_is_not_undone() -> None:
    """It need not even be installed."""
    only = {"held": HELD}
    changed = recode(encoded("json", "rolled", "held"), 1, ("held",), only)
    assert VALUES == read(changed)


def test_a_coding_that_keeps_contents_elsewhere_gets_its_former_output() -> None:
    """It gets it for each field. A field that it did not code before is encoded as usual."""

    def renew(content: bytes, before: bytes) -> bytes:
        renewed.append((before, content))
        return b"new " + content

    renewed: list[tuple[bytes, bytes]] = []
    away = Coding(name="away", encode=b"old ".__add__, decode=lambda coded: coded[4:], renew=renew)
    codings = {**CODINGS, "away": away}
    row = plugin.encode(values={"result": "one", "meta": 2}, serializer="json", codings=[away])
    changed = recode(row, 0, ("held", "away"), codings)
    assert "utf-8, held, away" == changed.content_encoding
    assert [(b'old "one"', HELD.encode(b'"one"')), (b"old 2", HELD.encode(b"2"))] == renewed
    assert {b"new "} == {b64decode(text)[:4] for text in changed.fields.values()}
    renewed.clear()
    recode(encoded("json", "held"), 1, ("away",), codings)
    assert [] == renewed


@pytest.mark.parametrize("names", [("gone",), ("held",)])
def test_a_missing_coding_is_named(names: tuple[str, ...]) -> None:
    """It may be one to apply or one to undo."""
    with pytest.raises(ResultUnreadable, match="'gone' is not installed"):
        recode(contents("utf-8, gone", result="IiI="), 0, names, CODINGS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8, rolled", "utf-8, rolled, held"])
@pytest.mark.parametrize("kept", [0, 1])
def test_bare_reprs_are_read_as_before(encoding: str, kept: int) -> None:
    """Releases before 2.0 did not serialize arguments; a later write keeps earlier ones."""
    row = contents(encoding, args="(1, 'two')", kwargs="{'a': ...}")
    kept = min(kept, encoding.count(","))
    assert {"args": "(1, 'two')", "kwargs": "{'a': ...}"} == read(
        recode(row, kept, ("held",), CODINGS)
    )


def test_bare_reprs_next_to_a_pickle_are_read_as_before() -> None:
    """With a coding they are bytes too."""
    row = Contents(
        fields={"args": "(1, 'two')"},
        content_type="application/x-python-serialize",
        content_encoding="binary",
    )
    assert {"args": "(1, 'two')"} == read(recode(row, 0, ("held",), CODINGS))


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_arguments_with_some_of_the_codings_are_read(serializer: str) -> None:
    """A later write with more codings kept an earlier one's arguments."""
    own = encoded(serializer, "rolled", "held")
    earlier = encoded(serializer, "held").fields
    row = Contents(
        fields={**own.fields, "args": earlier["args"]},
        content_type=own.content_type,
        content_encoding=own.content_encoding,
    )
    assert VALUES == read(row)


def test_the_corrupt_field_is_named() -> None:
    """Decoding names it in the same way."""
    with pytest.raises(ResultUnreadable, match="result is corrupt: ValueError: no mark"):
        recode(contents("utf-8, held", result="IiI="), 0, (), CODINGS)


@pytest.mark.parametrize("name", ["result", "args"])
def test_an_error_of_a_setting_is_not_taken_for_corruption(name: str) -> None:
    """A coding may raise its own error for a wrong setting."""

    def decode(_content: bytes) -> bytes:
        raise BackendMisconfigured("no key")

    codings = {"locked": Coding(name="locked", encode=bytes, decode=decode)}
    with pytest.raises(BackendMisconfigured, match="no key"):
        recode(contents("utf-8, locked", **{name: "IiI="}), 0, (), codings)


class Holding:
    """A plugin that has the coding ``held``."""

    django_celery_results_name = "holding"

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Offer it."""
        yield HELD


@pytest.mark.parametrize(
    ("off", "encoding", "expected"),
    [
        ([], "utf-8", True),
        (["holding"], "utf-8, held", True),
        (["holding"], "utf-8", False),
    ],
    ids=["active", "needed", "not needed"],
)
def test_codings_are_those_that_the_contents_need(
    registered: Register, off: list[str], encoding: str, expected: bool
) -> None:
    """A disabled plugin is loaded when its coding is needed, and not before."""
    registered(Holding(), DISABLED_PLUGINS=off)
    assert expected == ("held" in codings_for(contents(encoding, result="W1siYSJd")))
