"""Celery's pools: a worker with each pool stores results, groups and chords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import chord, group

from tests.integration import tasks
from tests.integration.combinations import POOLS, Combination
from tests.integration.tasks import add, echo, nap, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Lab

pytestmark = pytest.mark.workers


@pytest.mark.parametrize("combination", POOLS, ids=lambda one: one.name)
def test_a_pool_stores_results(
    start_lab: Callable[[Combination], Lab], combination: Combination
) -> None:
    """The tasks give a value, a failure, a group that runs concurrently, and chords."""
    lab = start_lab(combination)
    results: Any = group(nap.s(0.1, i) for i in range(10)).apply_async()
    chords: Any = [chord([echo.s(i) for i in range(5)], total.s()).apply_async() for _ in range(5)]
    error = lab.error(tasks.fail.delay("custom"))
    assert ("so", 3, None) == error.args
    assert 4 == lab.get(add.delay(2, 2))
    assert [*range(10)] == lab.get(results)
    assert [10] * 5 == [lab.get(one) for one in chords]
    assert combination.name in str(lab.app.AsyncResult(results[0].id).worker)
