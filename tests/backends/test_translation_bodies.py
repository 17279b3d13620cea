"""Bodies of chords as signatures: what is stored, and the single tasks in them."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, Signature, chain, chord, group

from django_celery_results.backends.translation import leaf_signatures, plain


@pytest.fixture
def add() -> Any:
    """A task."""
    app = Celery("tests", set_as_current=False)

    @app.task(name="add", shared=False)
    def add(x: int) -> int:
        return x

    return add


def ids(signature: Any) -> list[str]:
    """Return the ids of the single tasks in a signature."""
    return [one["options"]["task_id"] for one in leaf_signatures(signature)]


def leaf_names(signature: Any) -> list[str]:
    """Return the names of the single tasks in the signature that Celery makes from a dict."""
    return [one["task"] for one in leaf_signatures(Signature.from_dict(signature))]


def named(add: Any, name: str) -> Any:
    """Return a signature with this id."""
    return add.s(1).set(task_id=name)


def test_a_task_is_its_own_leaf(add: Any) -> None:
    assert ["a"] == ids(named(add, "a"))


def test_canvases_are_opened(add: Any) -> None:
    """They may be nested in any way."""
    a, b, c, d = (named(add, name) for name in "abcd")
    assert ["a", "b", "c", "d"] == ids(chain(a, group(b, chain(c, d), app=a.app), app=a.app))
    assert ["a", "b", "c"] == ids(chord([a, b], c, app=a.app))


def test_signatures_that_were_read_back_are_opened_too(add: Any) -> None:
    """A serializer returns them as dicts."""
    a, b, c = (named(add, name) for name in "abc")
    assert ["a", "b", "c"] == ids(plain(chord(group(a, b, app=a.app), c, app=a.app)))


def test_a_plain_signature_has_no_class_of_celerys() -> None:
    """Celery still accepts it as a signature."""
    signature = chain(Signature("a", args=(1,)), Signature("b"))
    found = plain(signature)
    assert {dict} == {type(found), type(found["kwargs"]["tasks"][0])}
    assert ["a", "b"] == leaf_names(found)
