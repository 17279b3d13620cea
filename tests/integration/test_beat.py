"""Clean-up as on a site: a beat process sends it, a worker does it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from django_celery_results.models import GroupResult, TaskResult
from tests.integration import processes
from tests.integration.combinations import RESULT_EXPIRES
from tests.integration.notes import eventually

if TYPE_CHECKING:
    from tests.integration.conftest import Lab


@pytest.fixture
def beat(database_lab: Lab) -> Iterator[processes.CeleryProcess]:
    """Give a beat process, which the test starts."""
    process = processes.beat(database_lab.combination)
    yield process
    process.stop()
    # Discard the tasks that it sent last, so that another test does not see them.
    database_lab.app.control.purge()


def make_task(task_id: str, age: timedelta, status: str = "SUCCESS") -> None:
    """Insert a row that was written ``age`` ago."""
    TaskResult.objects.create(task_id=task_id, status=status)
    written = timezone.now() - age
    TaskResult.objects.filter(task_id=task_id).update(date_done=written)


def test_beat_has_expired_results_deleted(database_lab: Lab, beat: processes.CeleryProcess) -> None:
    """Old results and groups are deleted; young ones and running tasks stay."""
    old, young = timedelta(seconds=2 * RESULT_EXPIRES), timedelta(seconds=RESULT_EXPIRES / 2)
    key = database_lab.key
    make_task(f"old-{key}", old)
    make_task(f"failed-{key}", old, "FAILURE")
    make_task(f"young-{key}", young)
    make_task(f"running-{key}", old, "STARTED")
    GroupResult.objects.create(group_id=f"old-{key}")
    GroupResult.objects.update(date_done=timezone.now() - old)
    GroupResult.objects.create(group_id=f"young-{key}")
    beat.start()
    eventually(lambda: not TaskResult.objects.filter(task_id=f"old-{key}").exists())
    eventually(lambda: not GroupResult.objects.filter(group_id=f"old-{key}").exists())
    left = TaskResult.objects.filter(task_id__endswith=key).values_list("task_id", flat=True)
    assert {f"young-{key}", f"running-{key}"} == set(left)
    assert [f"young-{key}"] == list(GroupResult.objects.values_list("group_id", flat=True))


def test_beat_names_the_periodic_task(database_lab: Lab, beat: processes.CeleryProcess) -> None:
    """The name of the schedule's entry is in the row of each task that beat sent."""
    beat.start()
    rows = TaskResult.objects.filter(periodic_task_name="two and two", status="SUCCESS")
    eventually(rows.exists)
    row = rows[0]
    assert ("tests.integration.tasks.add", "4") == (row.task_name, row.result)
    meta = database_lab.app.backend.get_task_meta(row.task_id)
    assert "two and two" == meta["periodic_task_name"]
