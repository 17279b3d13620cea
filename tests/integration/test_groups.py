"""Groups: waiting for their results, saving and restoring them.

The catalogue of canvases covers the values of groups and chains of every shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import group
from celery.exceptions import TimeoutError  # noqa: A004  Celery's name

from tests.integration.tasks import add, echo, fail, nap
from tests.integration.values import EXCEPTIONS

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


def test_a_group_gives_its_results_in_order(lab: Lab) -> None:
    """`get` gives one value for each task, in the order of the group."""
    result: Any = group(add.s(i, i) for i in range(12)).apply_async()
    assert [2 * i for i in range(12)] == lab.get(result)
    assert (True, True, False, 12) == (
        result.ready(),
        result.successful(),
        result.failed(),
        result.completed_count(),
    )


def test_an_empty_group_is_an_empty_list(lab: Lab) -> None:
    """An empty group is ready at once."""
    assert [] == lab.get(group([]).apply_async())


def test_a_failing_group_raises_the_first_error(lab: Lab) -> None:
    """`get` raises it, or gives the errors as values with `propagate=False`."""
    result: Any = group(add.s(1, 1), fail.s("custom"), add.s(2, 2)).apply_async()
    with pytest.raises(EXCEPTIONS["custom"].__class__):
        lab.get(result)
    values = lab.get(result, propagate=False)
    assert [2, ("so", 3, None), 4] == [values[0], values[1].args, values[2]]
    assert (True, False, True) == (result.ready(), result.successful(), result.failed())


@pytest.mark.parametrize("join", ["join", "join_native", "get"])
def test_every_way_to_join_gives_the_same(lab: Lab, join: str) -> None:
    """Some ways ask for each result in turn, others for all results in one query."""
    result: Any = group(add.s(i, 1) for i in range(5)).apply_async()
    assert [1, 2, 3, 4, 5] == getattr(result, join)(timeout=lab.wait, interval=0.05)


def test_iter_native_gives_results_as_they_come(lab: Lab) -> None:
    """The task that sleeps comes last."""
    result: Any = group(nap.s(0.5, "late"), echo.s("soon")).apply_async()
    order = [meta["result"] for _, meta in result.iter_native(timeout=lab.wait, interval=0.05)]
    assert ["soon", "late"] == order


@pytest.mark.parametrize("join", ["join", "join_native"])
def test_joining_times_out(own_lab: Lab, join: str) -> None:
    """Both methods raise Celery's TimeoutError."""
    result: Any = group(echo.s(1), nap.s(1, 2)).apply_async()
    with pytest.raises(TimeoutError):
        getattr(result, join)(timeout=0.2, interval=0.05)
    assert [1, 2] == own_lab.get(result)


def test_a_saved_group_is_restored(own_lab: Lab) -> None:
    """`restore` finds the group by its id, until it is deleted."""
    result: Any = group(add.s(1, 1), add.s(2, 2)).apply_async()
    result.save()
    restored = own_lab.app.GroupResult.restore(result.id)
    assert (result.id, [2, 4]) == (restored.id, own_lab.get(restored))
    assert [one.id for one in result] == [one.id for one in restored]
    restored.delete()
    assert own_lab.app.GroupResult.restore(result.id) is None


def test_a_saved_group_keeps_its_shape(own_lab: Lab) -> None:
    """Nested results and parents are restored too."""
    first: Any = add.delay(0, 0)
    make, key = own_lab.app.GroupResult, own_lab.key
    inner: Any = make(f"inner-{key}", [add.delay(1, 1), add.delay(2, 2)])
    outer: Any = own_lab.app.GroupResult(
        "outer" + own_lab.key, [add.delay(3, 3), inner], parent=first
    )
    outer.save()
    restored = own_lab.app.GroupResult.restore(outer.id)
    assert outer.as_tuple() == restored.as_tuple()
    assert [6, [2, 4]] == [own_lab.get(restored[0]), own_lab.get(restored[1])]


def test_an_unknown_group_is_none(lab: Lab) -> None:
    """`restore` returns None for an id that was never saved."""
    assert lab.app.GroupResult.restore(lab.key) is None


def test_a_group_is_forgotten_with_its_tasks(lab: Lab) -> None:
    """`forget` deletes every result of the group."""
    result: Any = group(add.s(1, 1), add.s(2, 2)).apply_async()
    lab.get(result)
    result.forget()
    assert ["PENDING"] * 2 == [lab.app.AsyncResult(one.id).state for one in result]
