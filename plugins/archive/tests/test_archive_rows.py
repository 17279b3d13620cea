"""How the archive writes values, and how it names folders."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from django_celery_results_archive.files import folder_of, save
from django_celery_results_archive.formats import to_lines
from django_celery_results_archive.rows import plain

CYCLE: list[Any] = []
CYCLE.append(CYCLE)


class Unprintable:
    """An object whose ``str`` and ``repr`` both fail."""

    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True]}, {"a": [1, 2.5, None, True]}),
        ({1: (1, 2)}, {"1": [1, 2]}),
        ({"b", "a"}, ["a", "b"]),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63 - 1, 2**63 - 1),
        (2**64, str(2**64)),
        (b"\xff", "/w=="),
        (date(2026, 11, 22), "2026-11-22"),
        (datetime(2026, 11, 22, tzinfo=timezone.utc), "2026-11-22T00:00:00+00:00"),
        (timedelta(seconds=1), "0:00:01"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ("a\ud800", "a\\ud800"),
        (CYCLE, "[[...]]"),
        (
            KeyError("a", b"b"),
            {"exc_type": "KeyError", "exc_module": "builtins", "exc_message": ["a", "Yg=="]},
        ),
    ],
)
def test_value_is_written_as_json(value: Any, expected: Any) -> None:
    """Types that JSON does not have become text."""
    assert expected == plain(value)


@pytest.mark.parametrize(
    "value", [Unprintable(), [Unprintable()], pytest.param(10**5000, id="a long number")]
)
def test_no_value_stops_a_batch_from_being_written(value: Any) -> None:
    """Every unpickled object becomes a line."""
    assert isinstance(json.loads(to_lines([{"result": plain(value)}]))["result"], str)


@pytest.mark.parametrize(
    ("task", "start"),
    [
        ("proj.tasks.add", "proj.tasks.add"),
        ("a-b_C.9", "a-b_C.9"),
        (None, "_unnamed"),
        ("../../etc/passwd", "etc_passwd-"),
        ("..", "task-"),
        ("_groups", "groups-"),
        (".hidden", "hidden-"),
        ("päy", "p_y-"),
        ("x" * 101, "x" * 100 + "-"),
        ("", "task-"),
        ("--", "task-"),
        ("con", "con-"),
        ("aux.pay", "aux.pay-"),
        ("shop.", "shop-"),
    ],
)
def test_folder_is_named_after_its_task(task: str | None, start: str) -> None:
    """Or similarly, if the task's name cannot name a folder on every system."""
    assert folder_of(task).startswith(start)
    assert not {"/", "\\", ".."} & {*folder_of(task), folder_of(task)}


def test_tasks_with_different_names_have_different_folders() -> None:
    """Even if their names become equal once they are cleaned."""
    assert 3 == len({folder_of(name) for name in ("a/b", "a b", "a_b")})


def test_no_rows_make_no_file() -> None:
    """The plugin does not even open the storage."""
    save([])
