"""The responses of the JSON endpoints."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery import Celery, states
from celery._state import get_current_app
from django.utils import translation

from django_celery_results.models import GroupResult, TaskResult
from django_celery_results.views import (
    group_status,
    is_group_successful,
    is_task_successful,
    presentable,
    task_status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client, RequestFactory
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """The current app, which stores in the database and accepts pickle too."""
    before = get_current_app()
    app = Celery("views", set_as_current=True)
    app.conf.update(result_backend="django-db", result_accept_content=["json", "pickle"])
    yield app
    before.set_current()


def fetch(client: Client, path: str, status: int = 200) -> Any:
    """Return the JSON at ``path``, which has to have the status ``status``."""
    response = client.get(path)
    assert status == response.status_code
    assert "application/json" == response.headers["Content-Type"]
    return response.json()


def save_group(app: Celery, group_id: str, *members: Any) -> None:
    """Save a group of tasks given by their ids, or of groups."""
    results = [app.AsyncResult(one) if isinstance(one, str) else one for one in members]
    app.GroupResult(group_id, results).save()


def corrupt(task_id: str) -> None:
    """Store a row whose content type is JSON but whose content is not."""
    TaskResult.objects.create(
        task_id=task_id,
        status=states.SUCCESS,
        content_type="application/json",
        content_encoding="utf-8",
        result="{",
    )


def test_done_of_a_finished_task(client: Client, app: Celery) -> None:
    """A task that succeeded was executed."""
    app.backend.mark_as_done("t1", 3)
    assert {"task": {"id": "t1", "executed": True}} == fetch(client, "/task/done/t1/")


@pytest.mark.parametrize("state", [states.PENDING, states.STARTED, "PROGRESS"])
def test_done_of_an_unfinished_task(client: Client, app: Celery, state: str) -> None:
    """An unfinished task was not executed."""
    app.backend.store_result("t1", None, state)
    assert {"task": {"id": "t1", "executed": False}} == fetch(client, "/task/done/t1/")


def test_done_of_an_unknown_task(client: Client) -> None:
    """An unknown task was not executed."""
    assert {"task": {"id": "t1", "executed": False}} == fetch(client, "/task/done/t1/")


def test_status_of_a_finished_task(client: Client, app: Celery) -> None:
    """The result is the value itself."""
    app.backend.mark_as_done("t1", {"sum": 3})
    expected = {"task": {"id": "t1", "status": "SUCCESS", "result": {"sum": 3}}}
    assert expected == fetch(client, "/task/status/t1/")


def test_status_of_a_task_in_a_custom_state(client: Client, app: Celery) -> None:
    """Progress is shown as the task reported it."""
    app.backend.store_result("t1", {"percent": 40}, "PROGRESS")
    expected = {"task": {"id": "t1", "status": "PROGRESS", "result": {"percent": 40}}}
    assert expected == fetch(client, "/task/status/t1/")


def test_status_of_an_unknown_task(client: Client) -> None:
    """As everywhere in Celery, its state is PENDING."""
    expected = {"task": {"id": "t1", "status": "PENDING", "result": None}}
    assert expected == fetch(client, "/task/status/t1/")


def test_status_of_a_failure(client: Client, app: Celery) -> None:
    """It has the repr and class of the exception, and the traceback."""
    app.backend.mark_as_failure("t1", ValueError("broken"), traceback="Traceback: lines")
    expected = {
        "id": "t1",
        "status": "FAILURE",
        "result": "ValueError('broken')",
        "exc": "builtins.ValueError",
        "traceback": "Traceback: lines",
    }
    assert {"task": expected} == fetch(client, "/task/status/t1/")


def test_status_of_a_revoked_task(client: Client, app: Celery) -> None:
    """A revoked task is shown as a failure with its own exception class."""
    app.backend.mark_as_revoked("t1", "by hand")
    task = fetch(client, "/task/status/t1/")["task"]
    assert ("REVOKED", "celery.exceptions.TaskRevokedError") == (task["status"], task["exc"])


def test_a_result_that_json_cannot_carry_is_shown_as_its_repr(client: Client, app: Celery) -> None:
    """The backend may return any object that pickle can restore."""
    app.conf.result_serializer = "pickle"
    app.backend.mark_as_done("t1", {(1, 2): b"\xff"})
    assert r"{(1, 2): b'\xff'}" == fetch(client, "/task/status/t1/")["task"]["result"]


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        ({"a": [1, None]}, {"a": [1, None]}),
        (date(2026, 2, 28), date(2026, 2, 28)),
        ("{1}", {1}),
        ("nan", float("nan")),
        ("KeyError('a')", KeyError("a")),
    ],
)
def test_presentable_values(expected: Any, value: Any) -> None:
    """JSON values are unchanged; all others become their repr."""
    assert expected == presentable(value)


def test_a_value_that_contains_itself_is_shown_as_its_repr() -> None:
    """Its JSON would be endless."""
    value: list[Any] = []
    value.append(value)
    assert "[[...]]" == presentable(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/task/done/t1/", {"id": "t1", "executed": False}),
        ("/task/status/t1/", {"id": "t1", "status": None, "result": None}),
    ],
)
def test_a_corrupt_row_is_an_error_in_json(
    client: Client, caplog: pytest.LogCaptureFixture, path: str, expected: dict[str, Any]
) -> None:
    """The cause is only in the log; the client must not see it."""
    corrupt("t1")
    expected = {"task": expected | {"error": "The stored result cannot be read."}}
    assert expected == fetch(client, path, status=500)
    assert "The result of t1 cannot be read" in caplog.text


def test_done_of_a_group(client: Client, app: Celery) -> None:
    """Each task has its own answer."""
    app.backend.mark_as_done("t1", 1)
    save_group(app, "g1", "t1", "t2")
    expected = [{"id": "t1", "executed": True}, {"id": "t2", "executed": False}]
    assert {"group": {"id": "g1", "results": expected}} == fetch(client, "/group/done/g1/")


def test_done_of_an_unknown_group(client: Client) -> None:
    """Its results are an empty list."""
    assert {"group": {"id": "g1", "results": []}} == fetch(client, "/group/done/g1/")


def test_status_of_a_group(client: Client, app: Celery) -> None:
    """Values are shown unchanged, exceptions as their repr."""
    app.backend.mark_as_done("t1", 1)
    app.backend.mark_as_failure("t2", ValueError("broken"))
    save_group(app, "g1", "t1", "t2", "t3")
    expected = [
        {"result": 1, "status": "SUCCESS"},
        {"result": "ValueError('broken')", "status": "FAILURE"},
        {"result": None, "status": "PENDING"},
    ]
    assert {"group": {"id": "g1", "results": expected}} == fetch(client, "/group/status/g1/")


def test_status_of_an_unknown_group(client: Client) -> None:
    """The status is 404, and the body is still JSON."""
    expected = {"id": "g1", "results": [], "error": "There is no group with this id."}
    assert {"group": expected} == fetch(client, "/group/status/g1/", status=404)


@pytest.mark.parametrize(
    ("expected", "states_of_members"),
    [
        ("SUCCESS", [states.SUCCESS, states.SUCCESS]),
        ("PENDING", [states.SUCCESS, states.STARTED]),
        ("FAILURE", [states.FAILURE, states.STARTED]),
    ],
)
def test_status_of_a_group_in_a_group(
    client: Client, app: Celery, expected: str, states_of_members: list[str]
) -> None:
    """Its result is the list of its tasks' results, its state the state that they share."""
    for index, state in enumerate(states_of_members):
        result = KeyError("x") if state == states.FAILURE else None
        app.backend.store_result(f"t{index}", result, state)
    save_group(app, "g1", app.GroupResult("inner", [app.AsyncResult("t0"), app.AsyncResult("t1")]))
    [inner] = fetch(client, "/group/status/g1/")["group"]["results"]
    assert states_of_members == [one["status"] for one in inner["result"]]
    assert expected == inner["status"]


def test_a_corrupt_task_does_not_hide_its_group(client: Client, app: Celery) -> None:
    """The other tasks are shown."""
    corrupt("t1")
    app.backend.mark_as_done("t2", 2)
    save_group(app, "g1", "t1", "t2")
    bad, good = fetch(client, "/group/status/g1/")["group"]["results"]
    message = "The stored result cannot be read."
    assert {"status": None, "result": None, "error": message} == bad
    bad_done, good_done = fetch(client, "/group/done/g1/")["group"]["results"]
    assert {"id": "t1", "executed": False, "error": message} == bad_done
    assert {"id": "t2", "executed": True} == good_done
    assert {"result": 2, "status": "SUCCESS"} == good


@pytest.mark.parametrize("path", ["/group/done/g1/", "/group/status/g1/"])
def test_a_corrupt_group_is_an_error_in_json(client: Client, path: str) -> None:
    """The cause is only in the log; the client must not see it."""
    GroupResult.objects.create(
        group_id="g1", content_type="application/json", content_encoding="utf-8", result="{"
    )
    expected = {"id": "g1", "results": [], "error": "The stored result cannot be read."}
    assert {"group": expected} == fetch(client, path, status=500)


def test_ids_that_are_not_text(app: Celery, rf: RequestFactory) -> None:
    """A site's own URL pattern may convert the id to a UUID."""
    task_id: Any = uuid4()
    group_id: Any = uuid4()
    app.backend.mark_as_done(task_id, 1)
    app.GroupResult(group_id, [app.AsyncResult(task_id)]).save()
    one = {"id": str(task_id), "executed": True}
    expected: dict[Any, dict[str, Any]] = {
        is_task_successful: {"task": one},
        task_status: {"task": {"id": str(task_id), "status": "SUCCESS", "result": 1}},
        is_group_successful: {"group": {"id": str(group_id), "results": [one]}},
        group_status: {
            "group": {"id": str(group_id), "results": [{"result": 1, "status": "SUCCESS"}]}
        },
    }
    for view, answer in expected.items():
        stored_id = task_id if "task" in answer else group_id
        for one_id in (stored_id, str(stored_id), str(stored_id).encode()):
            assert answer == json.loads(view(rf.get("/"), one_id).content)


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_any_method_is_answered(client: Client, method: str) -> None:
    """2.6 answers every method too."""
    assert 200 == getattr(client, method)("/task/done/t1/").status_code


def test_an_odd_id_is_not_found(client: Client) -> None:
    """No query is made for it."""
    assert 404 == client.get("/task/status/a%00b/").status_code


def test_a_task_with_an_endless_id_is_unknown(client: Client) -> None:
    """No column can hold such an id."""
    assert "PENDING" == fetch(client, f"/task/status/{'a' * 5000}/")["task"]["status"]


def test_errors_are_told_in_the_readers_language(client: Client) -> None:
    """Django's own language selection chooses it."""
    # The middleware leaves the client's language active in this thread.
    with translation.override("en"):
        response = client.get("/group/status/g1/", headers={"accept-language": "es"})
    assert "No existe ningún grupo con este id." == response.json()["group"]["error"]


@pytest.mark.parametrize("path", ["/group/done/g1/", "/group/status/g1/"])
@pytest.mark.parametrize("number", [1, 30])
def test_a_group_is_read_in_two_queries(
    client: Client,
    app: Celery,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
    number: int,
) -> None:
    """One query reads the group, and one all of its tasks, however many there are."""
    save_group(app, "g1", *[f"t{one}" for one in range(number)])
    with django_assert_num_queries(2):
        assert number == len(fetch(client, path)["group"]["results"])


@pytest.mark.parametrize(
    "stored",
    [
        "{",
        '{"status": "FAILURE", "result": {"reason": 1}}',
        '{"status": "FAILURE", "result": 3}',
        '{"status": "FAILURE", "result": {"exc_type": "system", "exc_module": "os"}}',
    ],
)
def test_a_group_of_another_backend_is_read_task_by_task(
    client: Client, app: Celery, stored: str
) -> None:
    """Celery's own backends cannot read many at once; an unreadable result hides no other."""
    app.conf.update(result_backend="cache+memory://")
    app._backend_cache = None  # type: ignore[attr-defined]  # so that the app makes the new one
    backend: Any = app.backend
    # All tests of this process share Celery's cache in memory.
    backend.delete(backend.get_key_for_task("t1"))
    for number in range(3):
        backend.mark_as_done(f"t{number}", number)
    save_group(app, "g1", "t0", "t1", "t2")
    backend.set(backend.get_key_for_task("t1"), stored)
    assert 500 == client.get("/task/status/t1/").status_code
    first, second, third = fetch(client, "/group/status/g1/")["group"]["results"]
    assert [0, None, 2] == [one["result"] for one in (first, second, third)]
    assert "The stored result cannot be read." == second["error"]
