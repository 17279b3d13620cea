"""Conversion between records and rows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from celery import states

from django_celery_results.exceptions import IdTooLong
from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.records import Contents, Retention, StoredTask
from django_celery_results.sql.clock import DatabaseNow
from django_celery_results.storages.database import rows as columns
from django_celery_results.storages.database.rows import (
    group_from_row,
    require_id,
    task_columns,
    task_from_row,
)

FIELDS = {name: name.upper() for name in ("result", "traceback", "meta", "args", "kwargs")}
CONTENTS = Contents(fields=FIELDS, content_type="text/x", content_encoding="utf-8, zstd")


def task(**facts: Any) -> StoredTask:
    """Return a record."""
    known = {"task_id": "t1", "status": states.SUCCESS, "contents": CONTENTS}
    return StoredTask(**{**known, **facts})


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test log again the entries that a process logs once."""
    monkeypatch.setattr(columns, "_logged", set())


def test_contents_stand_in_their_columns() -> None:
    """The columns have the names of 2.6."""
    row = task_columns(TaskResult, task())
    assert ("RESULT", "TRACEBACK", "META", "ARGS", "KWARGS", "text/x", "utf-8, zstd") == (
        row["result"],
        row["traceback"],
        row["meta"],
        row["task_args"],
        row["task_kwargs"],
        row["content_type"],
        row["content_encoding"],
    )


def test_started_takes_the_databases_clock() -> None:
    """Other states do not set the column."""
    assert isinstance(
        task_columns(TaskResult, task(status=states.STARTED))["date_started"], DatabaseNow
    )
    assert "date_started" not in task_columns(TaskResult, task())


def test_text_that_does_not_fit_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each column has its own entry."""
    for _ in range(3):
        task_columns(TaskResult, task(worker="w" * 101, name="n" * 256))
    assert ["task_name", "worker"] == sorted(
        str(one.args[0]) for one in caplog.records if isinstance(one.args, tuple)
    )


@pytest.mark.parametrize("column", ["status", "worker", "periodic_task_name", "name"])
def test_text_that_fits_is_unchanged(column: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged."""
    row = task_columns(TaskResult, task(**{column: "n" * 50}))
    assert "n" * 50 == row["task_name" if column == "name" else column]
    assert [] == caplog.records


@pytest.mark.parametrize(
    ("seconds", "years"), [(0, 0), (60, 0), (None, 1000), (1e300, 900), (365 * 86400, 0.9)]
)
def test_a_retention_is_a_date(seconds: float | None, years: float) -> None:
    """A retention for ever is a date too, later than any cleanup."""
    date = task_columns(TaskResult, task(retention=Retention(seconds=seconds)))["date_expires"]
    ahead = date - datetime.now(timezone.utc)
    assert timedelta(days=365 * years - 1) < ahead
    assert date.year < 10000


def test_without_a_retention_there_is_no_date() -> None:
    """The settings decide at each cleanup."""
    assert None is task_columns(TaskResult, task())["date_expires"]


def test_a_row_is_its_record_again() -> None:
    written = task_columns(TaskResult, task(name="add", worker="w"))
    read = task_from_row(TaskResult(task_id="t1", **written))
    assert (FIELDS, "add", "w") == (read.contents.fields, read.name, read.worker)


@pytest.mark.parametrize("model", [TaskResult, GroupResult])
def test_a_row_that_does_not_say_its_type_is_json(model: Any) -> None:
    """Sites make rows by hand."""
    record = (task_from_row if model is TaskResult else group_from_row)(model())
    assert ("application/json", "utf-8") == (
        record.contents.content_type,
        record.contents.content_encoding,
    )


def test_an_id_may_be_as_long_as_its_column() -> None:
    require_id(TaskResult, "task_id", "t" * 255)
    with pytest.raises(IdTooLong, match="256 characters, but its column holds 255"):
        require_id(TaskResult, "task_id", "t" * 256)


@pytest.mark.parametrize("missing", [None, ""])
def test_an_id_is_needed(missing: str | None) -> None:
    """All results without an id would share one row."""
    with pytest.raises(ValueError, match="task_id must not be empty"):
        require_id(TaskResult, "task_id", missing)
