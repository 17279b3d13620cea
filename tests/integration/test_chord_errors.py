"""Chords that fail: the body's result, and who is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError

from tests.integration import tasks
from tests.integration.tasks import add, echo, fail, nap, new_errback, old_errback, total
from tests.integration.versions import since_57

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


def test_a_failed_header_task_fails_the_body(lab: Lab) -> None:
    """The body's result is a ChordError that names the task and its error."""
    result: Any = chord([echo.s(1), fail.s(), echo.s(2)], total.s()).apply_async()
    error = lab.error(result)
    culprit = result.parent[1].id
    assert ("FAILURE", ChordError) == (result.state, type(error))
    assert f"Dependency {culprit} raised ValueError('wrong')" == str(error)


def test_a_failed_header_task_that_ignores_its_result_fails_the_body(lab: Lab) -> None:
    """Nothing is stored of the task, and yet the chord knows."""
    failing = fail.s()
    failing.options["ignore_result"] = True
    result: Any = chord([echo.s(1), failing, nap.s(0.2)], total.s()).apply_async()
    error = lab.error(result)
    assert ChordError is type(error)
    assert "raised ValueError('wrong')" in str(error)


def test_a_body_that_fails_keeps_its_own_error(lab: Lab) -> None:
    """That is the error of the task, not of the chord."""
    error = lab.error(chord([echo.s(1)], tasks.fail_with.s()).apply_async())
    assert (ValueError, ("wrong",)) == (type(error), error.args)


def test_an_error_in_a_chain_of_the_header_fails_the_body(lab: Lab) -> None:
    """Also when it is not the chain's last task that failed."""
    header = [chain(fail.si(), add.s(1), add.s(2)), echo.s(1)]
    error = lab.error(chord(header, total.s()).apply_async())
    assert ChordError is type(error)
    assert "raised ValueError('wrong')" in str(error)


def test_an_error_in_an_inner_chord_fails_its_body(lab: Lab) -> None:
    """Celery tells nobody of an inner body that failed for its header: the outer one waits on."""
    inner = chord([echo.s(1), fail.s()], total.s())
    result: Any = chord([inner, echo.s(2)], total.s()).apply_async()
    error = lab.error(result.parent[0])
    assert ChordError is type(error)
    assert "ValueError('wrong')" in str(error)
    assert "PENDING" == result.state


def test_a_header_task_replaced_by_a_failing_one_fails_the_body(lab: Lab) -> None:
    """Whoever stands in for a header task fails in its name."""
    error = lab.error(chord([tasks.become.s("failure"), echo.s(1)], total.s()).apply_async())
    assert ChordError is type(error)
    assert "raised ValueError('wrong')" in str(error)


@since_57
def test_a_failed_header_fails_what_follows_the_body(lab: Lab) -> None:
    """The tasks that would come after the body have the error too."""
    result: Any = chord([fail.s(), echo.s(1)], total.s() | add.s(1)).apply_async()
    error = lab.error(result)
    assert ChordError is type(error)


def test_an_old_errback_of_the_body_is_told(lab: Lab) -> None:
    """An errback of one argument gets the id of the body."""
    body = total.s().on_error(old_errback.s(key=lab.key))
    result: Any = chord([fail.s(), echo.s(1)], body).apply_async()
    lab.error(result)
    assert [result.id] == lab.notes(settle=0.2)


def test_a_new_errback_of_the_body_is_told(lab: Lab) -> None:
    """An errback of three arguments gets request, error and traceback."""
    body = total.s().on_error(new_errback.s(lab.key))
    result: Any = chord([fail.s(), echo.s(1)], body).apply_async()
    lab.error(result)
    culprit = result.parent[0].id
    expected = f"{result.id} ChordError Dependency {culprit} raised ValueError('wrong')"
    assert [expected] == lab.notes(settle=0.2)


def test_an_errback_of_a_header_task_is_told(lab: Lab) -> None:
    """The failing task's own errback gets the task's own error."""
    failing = fail.s().on_error(new_errback.s(lab.key))
    result: Any = chord([failing, echo.s(1)], total.s()).apply_async()
    lab.error(result)
    assert [f"{result.parent[0].id} ValueError wrong"] == lab.notes(settle=0.2)


@pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header")
def test_link_error_of_a_chord_is_told(lab: Lab) -> None:
    """`link_error` on the chord is `link_error` on its body."""
    canvas = chord([fail.s(), echo.s(1)], total.s())
    canvas.link_error(old_errback.s(key=lab.key))
    result: Any = canvas.apply_async()
    lab.error(result)
    assert [result.id] == lab.notes(settle=0.2)


@since_57
def test_errbacks_of_a_body_that_is_a_group_are_told(lab: Lab) -> None:
    """Each task of the body fails, and each has its errback."""
    body = group(
        total.s().on_error(old_errback.s(key=lab.key)),
        echo.s().on_error(old_errback.s(key=lab.key)),
    )
    result: Any = chord([fail.s(), echo.s(1)], body).apply_async()
    errors = lab.get(result, propagate=False)
    assert ["wrong", "wrong"] == [
        re.sub(r".*ValueError\('(\w+)'\)", r"\1", str(one)) for one in errors
    ]
    assert {one.id for one in result} == set(lab.notes(2, settle=0.2))


def test_link_error_of_a_task_is_told_once(lab: Lab) -> None:
    """Outside of chords too."""
    result: Any = fail.apply_async(link_error=old_errback.s(key=lab.key))
    lab.error(result)
    assert [result.id] == lab.notes(settle=0.2)


def test_link_of_a_task_gets_its_result(lab: Lab) -> None:
    """A callback runs with the result."""
    lab.get(add.apply_async((1, 2), link=tasks.note_value.s(key=lab.key)))
    assert ["3"] == lab.notes(settle=0.2)


def test_a_failed_chord_is_told_of_once(lab: Lab) -> None:
    """Two failures in the header make one error of the body."""
    body = total.s().on_error(new_errback.s(lab.key))
    result: Any = chord([fail.s(), fail.s("custom"), echo.s(1)], body).apply_async()
    assert ChordError is type(lab.error(result))
    assert 1 == len(lab.notes(settle=0.5))
