"""The models: their columns, their indexes and their texts."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, states
from django.db import IntegrityError, models, transaction

from django_celery_results.models import ChordCounter, ChordPart, GroupResult, TaskResult

if TYPE_CHECKING:
    from django.db.models import Field

#: Facts of 2.6.0 on which its users' queries, forms and migrations rely.
TASK_FIELDS: dict[str, dict[str, Any]] = {
    "task_id": {"max_length": 255, "unique": True, "verbose_name": "Task ID"},
    "periodic_task_name": {"max_length": 255, "null": True, "verbose_name": "Periodic Task Name"},
    "task_name": {"max_length": 255, "null": True, "verbose_name": "Task Name"},
    "task_args": {"null": True, "verbose_name": "Task Positional Arguments"},
    "task_kwargs": {"null": True, "verbose_name": "Task Named Arguments"},
    "status": {"max_length": 50, "default": states.PENDING, "choices": None},
    "worker": {"max_length": 100, "null": True, "default": None, "verbose_name": "Worker"},
    "content_type": {"max_length": 128, "verbose_name": "Result Content Type"},
    "content_encoding": {"max_length": 64, "verbose_name": "Result Encoding"},
    "result": {"null": True, "editable": False, "verbose_name": "Result Data"},
    "date_created": {"auto_now_add": True, "verbose_name": "Created DateTime"},
    "date_started": {"null": True, "default": None, "verbose_name": "Started DateTime"},
    "date_done": {"auto_now": True, "verbose_name": "Completed DateTime"},
    "traceback": {"null": True, "blank": True, "verbose_name": "Traceback"},
    "meta": {"null": True, "editable": False, "verbose_name": "Task Meta Information"},
}
GROUP_FIELDS: dict[str, dict[str, Any]] = {
    "group_id": {"max_length": 255, "unique": True, "verbose_name": "Group ID"},
    "date_created": {"auto_now_add": True, "verbose_name": "Created DateTime"},
    "date_done": {"auto_now": True, "verbose_name": "Completed DateTime"},
    "content_type": {"max_length": 128, "verbose_name": "Result Content Type"},
    "content_encoding": {"max_length": 64, "verbose_name": "Result Encoding"},
    "result": {"null": True, "editable": False, "verbose_name": "Result Data"},
}
CHORD_FIELDS: dict[str, dict[str, Any]] = {
    "group_id": {"max_length": 255, "unique": True, "verbose_name": "Group ID"},
    "sub_tasks": {"null": False},
    "count": {"null": False},
}
FIELDS = [
    (model, name, facts)
    for model, fields in (
        (TaskResult, TASK_FIELDS),
        (GroupResult, GROUP_FIELDS),
        (ChordCounter, CHORD_FIELDS),
    )
    for name, facts in fields.items()
]
OUR_MODELS = (TaskResult, GroupResult, ChordCounter, ChordPart)


@pytest.mark.parametrize(("model", "name", "facts"), FIELDS)
def test_fields_are_those_of_2_6(
    model: type[models.Model], name: str, facts: dict[str, Any]
) -> None:
    """This covers lengths, nulls, defaults and labels."""
    field = model._meta.get_field(name)
    assert facts == {key: getattr(field, key) for key in facts}


@pytest.mark.parametrize("model", OUR_MODELS)
def test_every_key_is_64_bits_wide(model: type[models.Model]) -> None:
    """It does not depend on DEFAULT_AUTO_FIELD."""
    assert models.BigAutoField is type(model._meta.pk)


@pytest.mark.parametrize(
    "field", [field for model in OUR_MODELS for field in model._meta.fields if field.name != "id"]
)
def test_every_field_is_described(field: Field[Any, Any]) -> None:
    """Forms show a label and a help text for each."""
    assert field.verbose_name
    assert field.help_text


def test_task_indexes_keep_their_names() -> None:
    """Sites' SQL and later migrations use them; only the index of date_created is gone."""
    expected = {
        "django_cele_task_na_08aec9_idx": ["task_name"],
        "django_cele_status_9b6201_idx": ["status"],
        "django_cele_worker_d54dd8_idx": ["worker"],
        "django_cele_date_do_f59aad_idx": ["date_done"],
        "django_cele_periodi_1993cf_idx": ["periodic_task_name"],
    }
    indexes = {index.name: index.fields for index in TaskResult._meta.indexes}
    assert expected == {name: indexes[name] for name in expected}


def test_group_indexes_keep_their_names() -> None:
    """Sites' SQL and later migrations use these names too."""
    expected = {
        "django_cele_date_do_caae0e_idx": ["date_done"],
    }
    assert expected == {index.name: index.fields for index in GroupResult._meta.indexes}


@pytest.mark.parametrize("model", [TaskResult, GroupResult])
def test_the_latest_results_come_first(model: type[models.Model]) -> None:
    """This is the order of queries without ``order_by``."""
    assert ["-date_done"] == model._meta.ordering


def test_a_task_as_a_dict_has_the_keys_of_2_6() -> None:
    """The values are the columns, still serialized."""
    done = datetime(2026, 2, 28, tzinfo=timezone.utc)
    values = {
        "task_id": "t1",
        "task_name": "add",
        "task_args": "[1]",
        "task_kwargs": "{}",
        "status": "SUCCESS",
        "result": "3",
        "date_done": done,
        "traceback": None,
        "meta": "{}",
        "worker": "w1",
    }
    assert values == TaskResult(**values).as_dict()


def test_a_group_as_a_dict_has_the_keys_of_2_6() -> None:
    """The values are the columns, still serialized."""
    done = datetime(2026, 2, 28, tzinfo=timezone.utc)
    values = {"group_id": "g1", "result": "[]", "date_done": done}
    assert values == GroupResult(**values).as_dict()


@pytest.mark.parametrize(
    ("expected", "row"),
    [
        ("<Task: t1 (FAILURE)>", TaskResult(task_id="t1", status="FAILURE")),
        ("<Task: t1 (PENDING)>", TaskResult(task_id="t1")),
        ("<Group: g1>", GroupResult(group_id="g1")),
        ("<Chord: g1 (3)>", ChordCounter(group_id="g1", count=3)),
        ("<Chord part: t1 (SUCCESS)>", ChordPart(task_id="t1", status="SUCCESS")),
    ],
)
def test_rows_say_what_they_are(expected: str, row: models.Model) -> None:
    """The admin and debuggers show this text."""
    assert expected == str(row)


def test_a_counter_gives_its_header_as_a_group() -> None:
    """It is Celery's GroupResult, bound to the app, with its nested groups."""
    app = Celery("chords", set_as_current=False, backend="cache+memory://")
    stored = '[[["a", null], null], [["inner", null], [[["b", null], null]]]]'
    group = ChordCounter(group_id="g1", sub_tasks=stored, count=2).group_result(app=app)
    assert ("g1", ["a", "inner"]) == (group.id, [task.id for task in group.results or ()])
    assert group.app is app


def test_a_counter_whose_list_is_broken_says_so() -> None:
    """A row that is not JSON raises the error of the JSON parser."""
    with pytest.raises(ValueError, match="Expecting value"):
        ChordCounter(group_id="g1", sub_tasks="?", count=1).group_result()


@pytest.mark.django_db
def test_a_part_counts_once() -> None:
    """The database refuses a second row for one task of a chord."""
    counter = ChordCounter.objects.create(group_id="g1", sub_tasks="[]", count=2)
    counter.parts.create(task_id="t1", status=states.SUCCESS)
    with pytest.raises(IntegrityError), transaction.atomic():
        counter.parts.create(task_id="t1", status=states.SUCCESS)


@pytest.mark.django_db
def test_parts_go_with_their_counter() -> None:
    """Deleting a chord also deletes its parts."""
    counter = ChordCounter.objects.create(group_id="g1", sub_tasks="[]", count=2)
    counter.parts.create(task_id="t1", status=states.SUCCESS)
    counter.delete()
    assert 0 == ChordPart.objects.count()
