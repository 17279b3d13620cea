"""Saved groups in the forms of earlier releases, and result objects that tasks return."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery._state import get_current_app
from django.test import Client

from django_celery_results.backends.translation import request_facts
from django_celery_results.exceptions import ResultUnreadable
from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.records import GroupRecord

from .conftest import PICKLE, request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = pytest.mark.django_db

A, B = [["a", None], None], [["b", None], None]
TODAY = [["g1", None], [A, B]]
#: What may be saved for a group, and today's form of it.
FORMS: list[Any] = [
    (TODAY, TODAY),
    (["g1", ["a", "b"]], TODAY),
    (["g1", [A, "b"]], TODAY),
    (["g1", [["a", None], ["b", None]]], TODAY),
    (["a", "b"], TODAY),
    ([A, B], TODAY),
    ([["a", None], ["b", None]], TODAY),
    (["a", "b", "c"], [["g1", None], [A, B, [["c", None], None]]]),
    (["a"], [["g1", None], [A]]),
    (A, [["g1", None], [A]]),
    (["a", None], [["g1", None], [A]]),
    ("a", [["g1", None], [A]]),
    ([["g1", A], [A]], [["g1", A], [A]]),
    (["g1", [["g2", ["a", "b"]]]], [["g1", None], [[["g2", None], [A, B]]]]),
    ([["g1", None], []], [["g1", None], []]),
]
STRANGE: list[Any] = [{"a": 1}, 3, True, [1, 2], [None], [["a"], ["b"]], ["g1", [["a", 1, 2]]]]


@pytest.fixture
def backend(make_stored: Callable[..., Any]) -> Iterator[Any]:
    """A backend that stores in one of the ways, of the current app."""
    before: Any = get_current_app()
    backend = make_stored()
    backend.app.set_current()
    yield backend
    before.set_current()


def save(backend: Any, saved: Any) -> None:
    """Save a group in the given form."""
    backend.results.save_group(GroupRecord(group_id="g1", result=saved))


def as_lists(group: Any) -> Any:
    """Return a group's tuple as lists."""
    return json.loads(json.dumps(group.as_tuple()))


def test_a_group_saved_by_an_earlier_release_is_restored(backend: Any) -> None:
    """Whatever its form, the results are there."""
    for saved, expected in FORMS:
        save(backend, saved)
        assert expected == as_lists(backend.app.GroupResult.restore("g1")), saved


@pytest.mark.parametrize("saved", [None, [], ()])
def test_an_empty_saved_group_restores_nothing(backend: Any, saved: Any) -> None:
    save(backend, saved)
    assert None is backend.app.GroupResult.restore("g1")


def test_a_group_of_any_other_form_is_unreadable(backend: Any) -> None:
    """The error names the group, and no endpoint fails."""
    for saved in STRANGE:
        save(backend, saved)
        with pytest.raises(ResultUnreadable, match="group 'g1' cannot be read: it contains"):
            backend.app.GroupResult.restore("g1")
        assert 500 == Client().get("/group/status/g1/").status_code


def test_a_saved_group_object_is_restored(make_backend: MakeBackend) -> None:
    """Pickle can store the object itself, as the oldest releases of Celery did."""
    backend = make_backend("django-db", **PICKLE)
    save(backend, backend.app.GroupResult("g1", [backend.app.AsyncResult("a")]))
    assert [["g1", None], [A]] == as_lists(backend.app.GroupResult.restore("g1"))


def test_the_endpoints_answer_for_a_list_of_ids(backend: Any) -> None:
    save(backend, ["a", "b"])
    backend.mark_as_done("a", 1)
    executed = [{"id": "a", "executed": True}, {"id": "b", "executed": False}]
    answer = Client().get("/group/done/g1/").json()
    assert {"group": {"id": "g1", "results": executed}} == answer
    found = [{"status": "SUCCESS", "result": 1}, {"status": "PENDING", "result": None}]
    answer = Client().get("/group/status/g1/").json()
    assert {"group": {"id": "g1", "results": found}} == answer


def test_a_row_with_a_list_of_ids_is_restored(make_backend: MakeBackend) -> None:
    """This is the row itself, as release 2.0 left it."""
    GroupResult.objects.create(
        group_id="g1",
        content_type="application/json",
        content_encoding="utf-8",
        result='["a", "b"]',
    )
    backend = make_backend()
    assert ["a", "b"] == [one.id for one in backend.app.GroupResult.restore("g1")]


# -- Result objects as return values -------------------------------------------------


def test_a_result_object_is_returned_as_over_redis(backend: Any) -> None:
    """Pickle keeps the object, and any other serializer makes a list of it."""
    one = backend.app.AsyncResult("a", parent=backend.app.AsyncResult("b"))
    group = backend.app.GroupResult("g1", [one])
    for value in (one, group):
        backend.mark_as_done(value.id, value, request_of(value.id))
        found = backend.app.AsyncResult(value.id).get(timeout=1)
        if backend.app.conf.result_serializer == "pickle":
            assert (type(value), value.id) == (type(found), found.id)
        else:
            assert as_lists(value) == found


def test_a_cache_of_objects_keeps_a_result_object_if_pickle_is_selected(
    make_backend: MakeBackend,
) -> None:
    """Celery's own backends give back the object then."""
    backend = make_backend("django-cache", result_serializer="pickle")
    found = backend.prepare_value(backend.app.AsyncResult("a"))
    assert "a" == found.id


# -- Names ---------------------------------------------------------------------------


class Bunch:
    """A request like the one that Celery makes up for a task that is not registered."""

    chord = errbacks = None
    name = "no.such.task"


def test_an_unregistered_task_has_its_name(make_stored: Callable[..., Any]) -> None:
    """The worker makes up a request whose only fact is the name."""
    backend = make_stored(result_extended=True)
    backend.mark_as_failure("t1", KeyError("a"), request=Bunch())
    found = backend.get_task_meta("t1")
    assert ("no.such.task", "no.such.task") == (found["name"], found["task_name"])


def test_an_unregistered_task_has_no_name_without_extended_results(
    make_backend: MakeBackend,
) -> None:
    make_backend().mark_as_failure("t1", KeyError("a"), request=Bunch())
    row = TaskResult.objects.get(task_id="t1")
    assert (states.FAILURE, None) == (row.status, row.task_name)


def test_a_header_called_name_is_not_the_name() -> None:
    """A sender's headers are attributes of the request too."""
    request = request_of(task="accounts.pay", name="of the sender")
    assert "accounts.pay" == request_facts(request)["name"]
