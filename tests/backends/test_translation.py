"""Conversion between Celery's requests and metas and the records."""

from __future__ import annotations

from typing import Any

import pytest
from celery import states

from django_celery_results.backends.translation import (
    pending_meta,
    reduced,
    request_facts,
    task_meta,
    task_record,
    to_stored,
    values_to_encode,
)
from django_celery_results.records import Contents, TaskRecord

from .conftest import request_of

CONTENTS = Contents(fields={}, content_type="text/x", content_encoding="utf-8")


def task(**values: Any) -> TaskRecord:
    """Return a record."""
    return TaskRecord(**{"task_id": "t1", "status": states.SUCCESS, **values})


def test_facts_are_those_of_the_request() -> None:
    """Celery's own backends keep the same facts."""
    request = request_of(
        task="add",
        group="g1",
        parent_id="p1",
        hostname="w1",
        periodic_task_name="nightly",
        retries=2,
        delivery_info={"routing_key": "queue"},
        stamped_headers=["tenant", "absent"],
        stamps={"tenant": 7, "other": 8},
    )
    expected = {
        "group_id": "g1",
        "parent_id": "p1",
        "name": "add",
        "worker": "w1",
        "periodic_task_name": "nightly",
        "retries": 2,
        "queue": "queue",
        "stamps": {"tenant": 7},
    }
    assert expected == request_facts(request)


def test_a_bare_request_has_no_facts() -> None:
    facts = request_facts(request_of())
    assert (None, None, None) == (facts["name"], facts["queue"], facts["stamps"])


def test_a_result_without_a_request_has_no_facts() -> None:
    """Results may be stored by hand."""
    assert {None} == set(request_facts(None).values())


def test_extended_facts_and_values_are_kept_only_when_asked_for() -> None:
    """Without ``result_extended`` a storage never sees them."""
    one = task(name="add", worker="w1", group_id="g1", args="(1,)", result=3)
    stored = to_stored(one, CONTENTS, None, extended=False)
    values = values_to_encode(one, extended=False)
    assert (None, None, "g1") == (stored.name, stored.worker, stored.group_id)
    assert (None, None, 3) == (values["args"], values["kwargs"], values["result"])


@pytest.mark.parametrize("name", ["task_id", "status", "result", "traceback", "date_done", "args"])
def test_a_tasks_own_meta_hides_nothing(name: str) -> None:
    """The task's stamps do not hide anything either."""
    meta = task_meta(task(stamps={name: "mine"}), {"meta": {name: "mine"}})
    assert "mine" != meta[name]


def test_a_tasks_own_meta_is_in_the_meta() -> None:
    """The children are in it as well."""
    meta = task_meta(task(stamps={"tenant": 7}), {"meta": {"children": [], "progress": 5}})
    assert ([], 5, 7) == (meta["children"], meta["progress"], meta["tenant"])


def test_arguments_have_two_names() -> None:
    """One is Celery's, the other that of 2.6."""
    meta = task_meta(task(name="add"), {"args": [1], "kwargs": {"a": 2}})
    assert ("add", [1], {"a": 2}) == (meta["name"], meta["args"], meta["kwargs"])
    assert ("add", [1], {"a": 2}) == (meta["task_name"], meta["task_args"], meta["task_kwargs"])


def test_pending_is_a_meta_too() -> None:
    """It has every key of a stored task's meta."""
    meta = pending_meta("t1")
    assert ("t1", states.PENDING, None) == (meta["task_id"], meta["status"], meta["result"])
    assert task_meta(task(), {}).keys() == meta.keys()


def test_a_record_comes_back() -> None:
    """The storage returns its facts, and the codec its values."""
    record = task(result=1, args="(1,)", name="add", retries=2)
    stored = to_stored(record, CONTENTS, None, extended=True)
    assert record == task_record(stored, values_to_encode(record, extended=True))


def test_reduced_arguments_are_reprs() -> None:
    """Text and None stay unchanged."""
    one = reduced(task(args=[1], kwargs="{}"))
    assert ("[1]", "{}") == (one.args, one.kwargs)
    assert None is reduced(task()).args


def test_a_reduced_failure_keeps_its_children() -> None:
    """The rest of the task's own meta is dropped."""
    failed = task(status=states.FAILURE, meta={"children": [1], "own": object()})
    assert {"children": [1]} == reduced(failed).meta


def test_a_reduced_success_keeps_its_meta() -> None:
    """The task's own meta is part of its result."""
    assert {"own": 1} == reduced(task(meta={"own": 1})).meta
    assert {} == reduced(task()).meta
