"""Ids that are not text: every door takes what ``str`` makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import celery
import pytest
from celery import states
from celery.result import AsyncResult, GroupResult

from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results.models import GroupResult as GroupRow
from django_celery_results.utils import text_id, with_text_ids
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.backends.common import Chord

pytestmark = pytest.mark.django_db

TEXT = "0b0e2f0c-5c1f-4a52-9a43-8a3c1c0d3b11"
OTHER = "7d1a3c52-0a53-4b3c-8f0e-5b8b4c9e0f22"


class Named:
    """An id of a type of the site's own."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        """Return the text of the id."""
        return self.text


KINDS = [UUID, str.encode, Named]
#: The types of ids that Celery's results can hold: they have to be hashable and comparable.
MADE = [UUID, str.encode]


@pytest.mark.parametrize("value", [TEXT, UUID(TEXT), TEXT.encode(), Named(TEXT)])
def test_the_text_of_an_id(value: Any) -> None:
    """Bytes are decoded, and everything else is what ``str`` makes of it."""
    assert TEXT == text_id(value)
    assert str is type(text_id(value))


def test_no_id_stays_none() -> None:
    """It is not the id "None"."""
    assert None is text_id(None)


def test_the_ids_in_a_result_tuple() -> None:
    """Those of its parents and its children too."""
    parent = ((UUID(OTHER), None), None)
    result: Any = ((UUID(TEXT), parent), [((b"t1", None), None), ((UUID(OTHER), None), [])])
    expected: Any = (
        (TEXT, ((OTHER, None), None)),
        [(("t1", None), None), ((OTHER, None), [])],
    )
    assert expected == with_text_ids(result)


# -- Tasks ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_stored_and_read_under_the_text_of_its_id(any_backend: Any, kind: Any) -> None:
    """Under either form, and in every state."""
    for state in (states.STARTED, states.SUCCESS):
        any_backend.store_result(kind(TEXT), 1, state)
        for task_id in (kind(TEXT), TEXT):
            meta = any_backend.get_task_meta(task_id, cache=False)
            assert (state, TEXT, str) == (meta["status"], meta["task_id"], type(meta["task_id"]))
    assert 1 == any_backend.wait_for(kind(TEXT), timeout=1)["result"]
    assert any_backend.task_result_exists(kind(TEXT))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_task_is_pending(any_backend: Any, kind: Any) -> None:
    """Its meta has the text of the id."""
    meta = any_backend.get_task_meta(kind(TEXT))
    assert (states.PENDING, TEXT) == (meta["status"], meta["task_id"])
    assert not any_backend.task_result_exists(kind(TEXT))


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_forgotten_under_either_form(any_backend: Any, kind: Any) -> None:
    """Celery's cache of metas forgets it too."""
    for stored, forgotten in ((kind(TEXT), TEXT), (TEXT, kind(TEXT))):
        any_backend.mark_as_done(stored, 1)
        for task_id in (kind(TEXT), TEXT):
            assert 1 == any_backend.get_result(task_id)
            assert any_backend.is_cached(task_id)
        any_backend.forget(forgotten)
        for task_id in (kind(TEXT), TEXT):
            assert states.PENDING == any_backend.get_state(task_id)


def test_a_reloaded_meta_is_the_one_that_is_cached(any_backend: Any) -> None:
    """``reload_task_result`` reads again, whatever Celery's cache has."""
    any_backend.mark_as_done(TEXT, 1)
    assert 1 == any_backend.get_result(UUID(TEXT))
    any_backend.results.forget(TEXT)
    any_backend.mark_as_done(TEXT, 2)
    any_backend.reload_task_result(UUID(TEXT))
    assert 2 == any_backend.get_result(TEXT)


@pytest.mark.parametrize("kind", MADE)
def test_a_result_works_with_such_an_id(any_backend: Any, kind: Any) -> None:
    """Celery's ``AsyncResult`` passes its id to the backend as it is."""
    result: Any = AsyncResult(kind(TEXT), backend=any_backend, app=any_backend.app)
    assert states.PENDING == result.state
    any_backend.mark_as_done(kind(TEXT), 5)
    assert (5, True, states.SUCCESS) == (result.get(timeout=1), result.ready(), result.state)
    result.forget()
    assert states.PENDING == any_backend.get_state(TEXT)


@pytest.mark.parametrize("kind", MADE)
def test_many_are_waited_for_at_once(any_backend: Any, kind: Any) -> None:
    """They are yielded under the ids that were asked for, because Celery looks these up."""
    ids = [kind(TEXT), kind(OTHER)]
    for number, task_id in enumerate(ids):
        any_backend.mark_as_done(task_id, number)
    for _ in ("from the storage", "from Celery's cache"):
        found = dict(any_backend.get_many(ids, timeout=1))
        assert {0, 1} == {found[one]["result"] for one in ids}
        assert {TEXT, OTHER} == {meta["task_id"] for meta in found.values()}
    metas = any_backend.results.metas(ids)
    assert {TEXT: 0, OTHER: 1} == {one: meta["result"] for one, meta in metas.items()}


def test_a_row_has_the_text(make_backend: MakeBackend) -> None:
    """A UUID's text has its hyphens on every database."""
    make_backend().mark_as_done(UUID(TEXT), 1)
    assert [TEXT] == list(TaskResult.objects.values_list("task_id", flat=True))


def test_the_children_and_the_ids_around_a_task_are_text(any_backend: Any) -> None:
    """They are found again under the text."""
    app = any_backend.app
    request = request_of(TEXT, group=UUID(OTHER), parent_id=UUID(OTHER))
    request.children.append(app.AsyncResult(UUID(OTHER)))
    any_backend.mark_as_done(UUID(TEXT), 1, request=request)
    any_backend.mark_as_done(UUID(OTHER), 2)
    (child,) = app.AsyncResult(UUID(TEXT)).children
    assert (OTHER, 2) == (child.id, child.get(timeout=1))
    meta = any_backend.get_task_meta(TEXT)
    assert {OTHER} >= {meta.get("group_id", OTHER), meta.get("parent_id", OTHER)}


@pytest.mark.parametrize("kind", MADE)
def test_the_managers_take_such_ids(kind: Any) -> None:
    """A row is found, written and made under the text."""
    rows: Any = TaskResult.objects
    assert TEXT == rows.get_task(kind(TEXT)).task_id
    made = rows.store_result("application/json", "utf-8", kind(TEXT), "1", states.SUCCESS)
    assert (TEXT, made) == (made.task_id, rows.get_task(kind(TEXT)))
    groups: Any = GroupRow.objects
    assert TEXT == groups.get_group(kind(TEXT)).group_id
    group = groups.store_group_result("application/json", "utf-8", kind(TEXT), "[]")
    assert (TEXT, group) == (group.group_id, groups.get_group(kind(TEXT)))


# -- Groups --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
def test_a_group_of_such_ids_comes_back(any_backend: Any, kind: Any) -> None:
    """It reads back equal to the same group with text ids."""
    app = any_backend.app
    members: list[Any] = [app.AsyncResult(kind(OTHER)), app.AsyncResult("t2")]
    for number, one in enumerate(members):
        any_backend.mark_as_done(one.id, number)
    group: Any = GroupResult(kind(TEXT), members, app=app)
    assert [0, 1] == group.get(timeout=1)
    group.save(backend=any_backend)

    expected: Any = GroupResult(TEXT, [app.AsyncResult(OTHER), app.AsyncResult("t2")], app=app)
    for group_id in (kind(TEXT), TEXT):
        restored: Any = any_backend.restore_group(group_id)
        assert expected.as_tuple() == restored.as_tuple()
        assert [0, 1] == restored.get(timeout=1)
    any_backend.reload_group_result(kind(TEXT))
    assert any_backend.is_cached(TEXT)
    any_backend.delete_group(kind(TEXT))
    assert None is any_backend.restore_group(TEXT)


# -- Chords --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
def test_a_chord_of_such_ids_is_finished(chord: Chord, kind: Any) -> None:
    """The parts return under the ids that their requests have, redelivered ones too."""
    backend, app = chord.backend, chord.app
    members = [app.AsyncResult(kind(TEXT)), app.AsyncResult(kind(TEXT)), app.AsyncResult("t2")]
    backend.apply_chord((kind(OTHER), members), chord.body)
    backend.set_chord_size(kind(OTHER), 2)
    backend.add_to_chord(kind(OTHER), app.AsyncResult(UUID(int=3)))
    for number, task_id in enumerate((kind(TEXT), TEXT, "t2", UUID(int=3))):
        request = request_of(task_id, group=kind(OTHER), chord=chord.body)
        backend.mark_as_done(task_id, number, request=request)
        assert bool(chord.sent) is (number == 3)
    assert [[0, 0, 2, 3]] == chord.sent
    assert not ChordCounter.objects.exists()


def test_the_body_may_have_such_an_id(chord: Chord) -> None:
    """A body that was sent by a worker that died is found by it."""
    chord.body = chord.body.clone().set(task_id=UUID(TEXT))
    assert not chord.backend.chords._was_sent(chord.body)
    chord.backend.mark_as_started(TEXT)
    assert chord.backend.chords._was_sent(chord.body)


@pytest.mark.skipif(celery.VERSION < (5, 5), reason="eager results need Celery 5.5's request")
def test_a_task_may_be_sent_with_such_an_id(make_backend: MakeBackend) -> None:
    """``apply_async(task_id=uuid4())``."""
    app = make_backend(task_always_eager=True, task_store_eager_result=True).app

    @app.task(name="double")  # type: ignore[untyped-decorator]  # an app of Any
    def double(value: int) -> int:
        return 2 * value

    double.apply_async((2,), task_id=UUID(TEXT))
    assert (states.SUCCESS, 4) == (app.AsyncResult(TEXT).state, app.AsyncResult(TEXT).result)
