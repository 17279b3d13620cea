"""All contents of a database: read in batches, and written back in another form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError
from django.db.models import Q
from django.db.models.signals import post_save

from django_celery_results.models import ChordCounter, ChordPart, GroupResult, TaskResult
from django_celery_results.records import Contents
from django_celery_results.storages.database.contents import DatabaseContents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_celery_results.storages.database.contents import ContentRow

pytestmark = pytest.mark.django_db

FORM = {"content_type": "application/json", "content_encoding": "utf-8"}


@pytest.fixture
def rows() -> dict[str, Any]:
    """A row of each kind, and some rows without contents."""
    counter = ChordCounter.objects.create(
        group_id="c", sub_tasks="[]", count=2, body='"body"', **FORM
    )
    ChordCounter.objects.create(group_id="without a body", sub_tasks="[]", count=1)
    part = ChordPart.objects.create(counter=counter, task_id="p", result='"part"', **FORM)
    ChordPart.objects.create(counter=counter, task_id="without a result")
    task = TaskResult.objects.create(task_id="t", result='"task"', task_args='"()"', **FORM)
    TaskResult.objects.create(task_id="without anything")
    group = GroupResult.objects.create(group_id="g", result='"group"', **FORM)
    return {"task": task, "group": group, "chord": counter, "part": part}


def contents_of(backend: Any, **options: Any) -> DatabaseContents:
    """Return the contents of the storage, the object under test."""
    return DatabaseContents(backend.storage, **options)


def found(contents: DatabaseContents, size: int = 100) -> list[ContentRow]:
    """Return all rows."""
    return [row for batch in contents.batches(size) for row in batch]


def shouted(row: ContentRow) -> tuple[ContentRow, Contents]:
    """Return a change of the rows: their contents in capitals."""
    fields = {name: text and text.upper() for name, text in row.contents.fields.items()}
    return row, Contents(fields=fields, content_type="text/x-loud", content_encoding="utf-8, loud")


def test_every_kind_of_contents_is_there(backend: Any, rows: dict[str, Any]) -> None:
    """Rows without contents are left out."""
    assert len(rows) == contents_of(backend).count()
    assert [
        ("task 't'", '"task"'),
        ("group 'g'", '"group"'),
        ("the body of chord 'c'", '"body"'),
        ("the result of chord part 'p'", '"part"'),
    ] == [
        (str(row), row.contents.fields.get("body", row.contents.fields.get("result")))
        for row in found(contents_of(backend))
    ]


def test_a_task_has_all_of_its_contents(backend: Any, rows: dict[str, Any]) -> None:
    """The fields have the same names as everywhere."""
    fields = {"result": '"task"', "traceback": None, "meta": None, "args": '"()"', "kwargs": None}
    assert fields == found(contents_of(backend))[0].contents.fields
    assert rows["task"].content_encoding == found(contents_of(backend))[0].contents.content_encoding


def test_rows_that_do_not_say_their_form_are_text(backend: Any) -> None:
    """Sites may make such rows by hand."""
    ChordCounter.objects.create(group_id="c", sub_tasks="[]", count=1, body="{}")
    [row] = found(contents_of(backend))
    assert ("application/json", "utf-8") == (
        row.contents.content_type,
        row.contents.content_encoding,
    )


def test_rows_come_in_batches(backend: Any) -> None:
    """A batch holds one kind of row."""
    for number in range(5):
        TaskResult.objects.create(task_id=f"t{number}", result="1")
    GroupResult.objects.create(group_id="g", result="1")
    assert [2, 2, 1, 1] == [len(batch) for batch in contents_of(backend).batches(2)]


def test_ids_of_one_kind_are_read_alone(backend: Any) -> None:
    """In order, however few are read at a time; a row without contents has none to change."""
    for number in range(5):
        TaskResult.objects.create(task_id=f"t{number}", result="1")
    TaskResult.objects.create(task_id="without anything")
    GroupResult.objects.create(group_id="g", result="1")
    assert ["t0", "t1", "t2", "t3", "t4"] == list(contents_of(backend).ids("task", 2))


def test_rows_may_be_chosen(backend: Any, rows: dict[str, Any]) -> None:
    """The condition is on the columns of each table."""
    asked = []

    def wanted(columns: Sequence[str]) -> Q:
        asked.append(list(columns))
        return Q(content_encoding="utf-8", **{columns[0]: '"group"'})

    contents = contents_of(backend, wanted=wanted)
    assert (1, ["g"]) == (contents.count(), [row.id for row in found(contents)])
    assert [
        ["result", "traceback", "meta", "task_args", "task_kwargs"],
        ["result"],
        ["body"],
        ["result"],
    ] == asked
    assert "group" in rows


@pytest.mark.parametrize("kind", ["task", "group", "chord", "part"])
def test_contents_are_replaced(backend: Any, rows: dict[str, Any], kind: str) -> None:
    """Their type and codings are replaced too."""
    row = type(rows[kind]).objects.filter(pk=rows[kind].pk)
    before = row.values().get()
    contents = contents_of(backend)
    changes = [shouted(row) for row in found(contents) if row.kind == kind]
    assert 1 == contents.replace(changes)
    columns = ["body"] if kind == "chord" else ["result"]
    columns += ["task_args"] if kind == "task" else []
    loud = {"content_type": "text/x-loud", "content_encoding": "utf-8, loud"}
    assert {**before, **loud, **{one: before[one].upper() for one in columns}} == row.values().get()


def test_replacing_nothing_begins_no_transaction(backend: Any) -> None:
    assert 0 == contents_of(backend).replace([])


def test_dates_stay(backend: Any, rows: dict[str, Any]) -> None:
    """A result does not live longer because it was written in another form."""
    contents = contents_of(backend)
    contents.replace([shouted(row) for row in found(contents)])
    row = TaskResult.objects.get(task_id="t")
    assert rows["task"].date_done == row.date_done


def test_no_signal_is_sent(backend: Any, rows: dict[str, Any]) -> None:
    """The values of the row have not changed."""
    heard = []

    def listen(**kwargs: Any) -> None:
        heard.append(kwargs)

    post_save.connect(listen, sender=TaskResult)
    try:
        contents = contents_of(backend)
        contents.replace([shouted(found(contents)[0])])
    finally:
        post_save.disconnect(listen, sender=TaskResult)
    assert ([], 4) == (heard, len(rows))


@pytest.mark.parametrize("value", ["newer", "TASK", "task", None])
def test_a_newer_write_stays(backend: Any, rows: dict[str, Any], value: Any) -> None:
    """It may differ only in case, or not at all."""
    contents = contents_of(backend)
    before = found(contents)
    TaskResult.objects.filter(task_id="t").update(status="STARTED")
    backend.store_result("t", value, "SUCCESS")
    newer = found(contents)[0].contents
    assert 3 == contents.replace([shouted(row) for row in before])
    assert newer == found(contents)[0].contents
    assert "task" in rows


def test_a_row_that_is_gone_stays_gone(backend: Any, rows: dict[str, Any]) -> None:
    contents = contents_of(backend)
    before = found(contents)
    rows["group"].delete()
    rows["chord"].delete()
    assert 1 == contents.replace([shouted(row) for row in before])


def test_a_batch_that_fails_is_rolled_back(backend: Any, rows: dict[str, Any]) -> None:
    """A batch is one transaction."""
    contents = contents_of(backend)
    task, group = (shouted(row) for row in found(contents)[:2])
    broken = replace(group[1], fields={})
    with pytest.raises(KeyError):
        contents.replace([task, (group[0], broken)])
    rows["task"].refresh_from_db()
    assert '"task"' == rows["task"].result


def test_a_batch_that_the_database_fails_is_made_again(backend: Any) -> None:
    """``repeat`` covers both reading and writing."""
    TaskResult.objects.create(task_id="t", result="1")
    failed = []

    def repeat(batch: Callable[[], Any]) -> Any:
        failed.append(OperationalError())
        return batch()

    contents = contents_of(backend, repeat=repeat)
    [batch] = contents.batches(5)
    assert 1 == contents.replace([shouted(row) for row in batch])
    # Each of the four tables ends with an empty page.
    assert 4 + 1 + 1 == len(failed)


@pytest.mark.django_db(databases=["default", "secondary"])
def test_the_database_of_the_url_is_used(make_backend: Any) -> None:
    TaskResult.objects.using("secondary").create(task_id="t", result='"x"')
    contents = contents_of(make_backend("django-db://secondary"))
    assert 1 == contents.replace([shouted(row) for row in found(contents)])
    assert '"X"' == TaskResult.objects.using("secondary").get().result
