"""The admin's pages and its action."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pytest
from celery import Celery, states
from celery._state import get_current_app
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse

from django_celery_results.admin import GroupResultAdmin, TaskResultAdmin
from django_celery_results.models import GroupResult, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.contrib.auth.models import User
    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

CHANGELIST = "admin:django_celery_results_taskresult_changelist"
CHANGE = "admin:django_celery_results_taskresult_change"


class NightlyResult(TaskResult):
    """A proxy model, as sites define one for their own admin page."""

    class Meta:
        proxy = True
        app_label = "dependent"


def task(task_id: str, status: str = states.SUCCESS, **fields: Any) -> TaskResult:
    """Store a row and return it."""
    content = {"content_type": "application/json", "content_encoding": "utf-8"}
    row: TaskResult = TaskResult.objects.create(task_id=task_id, status=status, **content, **fields)
    return row


@pytest.fixture
def app() -> Iterator[Celery]:
    """The current app, with a broker in this process."""
    before = get_current_app()
    app = Celery("admin", set_as_current=True)
    # An own exchange, because messages of earlier tests stay in this process.
    app.conf.update(broker_url="memory://", control_exchange=f"admin-{uuid4()}")
    yield app
    before.set_current()


@pytest.fixture
def revoked(app: Celery) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The ids of the tasks that workers were told to revoke since the test began."""
    heard: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        control: Any = app.control
        node = control.mailbox.Node(
            "listener", handlers={"revoke": lambda _state, **arguments: heard.append(arguments)}
        )
        node.channel = connection.default_channel
        node.listen()

        def listen() -> list[dict[str, Any]]:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.2)
            return heard

        yield listen


def terminate(client: Client, *rows: TaskResult) -> Any:
    """Run the action on the rows."""
    selected = [str(row.pk) for row in rows]
    data = {"action": "terminate_tasks", ACTION_CHECKBOX_NAME: selected}
    return client.post(reverse(CHANGELIST), data)


def told(response: Any) -> list[tuple[str, str]]:
    """Return the messages on the next page with their levels."""
    shown = get_messages(response.wsgi_request)
    return [(message.level_tag, message.message) for message in shown]


def with_permissions(user: User, *names: str) -> User:
    """Give the permissions to ``user``, make it a member of the staff, and return it."""
    user.is_staff = True
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


def test_both_models_are_registered() -> None:
    """They are on the default site, with the classes that sites import."""
    registry = admin.site._registry
    assert TaskResultAdmin is type(registry[TaskResult])
    assert GroupResultAdmin is type(registry[GroupResult])


def test_the_task_page_is_that_of_2_6() -> None:
    """This covers the columns, filters, search and fieldsets."""
    page = TaskResultAdmin(TaskResult, admin.site)
    columns = ("task_id", "periodic_task_name", "task_name", "completed", "status", "worker")
    filters = ("status", "date_done", "periodic_task_name", "task_name", "worker")
    search = ("task_name", "task_id", "status", "task_args", "task_kwargs")
    assert ("date_done", columns) == (page.date_hierarchy, page.list_display)
    assert (filters, search) == (page.list_filter, page.search_fields)
    assert ["None", "Parameters", "Result"] == [
        str(name) for name, _ in cast("Any", page.fieldsets)
    ]


def test_the_task_list_shows_results(admin_client: Client) -> None:
    """The newest row comes first, and each row has a link."""
    row = task("t1", task_name="add", worker="w1")
    content = admin_client.get(reverse(CHANGELIST)).content.decode()
    assert reverse(CHANGE, args=[row.pk]) in content
    assert "add" in content


@pytest.mark.parametrize("query", ["q=needle", "status=FAILURE", "worker=w-needle"])
def test_the_task_list_finds_and_filters(admin_client: Client, query: str) -> None:
    """It uses the fields of 2.6."""
    task("t-needle", states.FAILURE, worker="w-needle", task_args="needle")
    task("t-hay")
    content = admin_client.get(f"{reverse(CHANGELIST)}?{query}").content.decode()
    assert "t-needle" in content
    assert "t-hay" not in content


def test_the_group_list_shows_groups(admin_client: Client) -> None:
    """The list can be searched by id."""
    GroupResult.objects.create(group_id="g-needle")
    url = reverse("admin:django_celery_results_groupresult_changelist")
    assert "g-needle" in admin_client.get(f"{url}?q=needle").content.decode()


def form_fields(client: Client, url: str) -> set[str]:
    """Return the fields that the page at ``url`` can change."""
    return set(client.get(url).context["adminform"].form.fields)


def test_a_task_is_only_shown(admin_client: Client) -> None:
    """Nothing can be edited unless a setting allows it."""
    url = reverse(CHANGE, args=[task("t1", result='"a result"').pk])
    assert set() == form_fields(admin_client, url)
    assert "a result" in admin_client.get(url).content.decode()


def test_a_group_is_only_shown(admin_client: Client) -> None:
    """Nothing can be edited unless a setting allows it."""
    row = GroupResult.objects.create(group_id="g1")
    url = reverse("admin:django_celery_results_groupresult_change", args=[row.pk])
    assert set() == form_fields(admin_client, url)


def test_a_task_can_be_edited_where_allowed(admin_client: Client, settings: Settings) -> None:
    """The dates, the result and the meta stay fixed; the setting works from the next request on."""
    url = reverse(CHANGE, args=[task("t1").pk])
    assert set() == form_fields(admin_client, url)
    settings.DJANGO_CELERY_RESULTS = {"ALLOW_EDITS": True}
    expected = {
        "task_id",
        "task_name",
        "periodic_task_name",
        "status",
        "worker",
        "content_type",
        "content_encoding",
        "task_args",
        "task_kwargs",
        "traceback",
    }
    assert expected == form_fields(admin_client, url)


def test_a_group_can_be_edited_where_allowed(admin_client: Client, settings: Settings) -> None:
    """The dates and the result stay fixed."""
    settings.DJANGO_CELERY_RESULTS = {"ALLOW_EDITS": True}
    row = GroupResult.objects.create(group_id="g1")
    url = reverse("admin:django_celery_results_groupresult_change", args=[row.pk])
    assert {"group_id", "content_type", "content_encoding"} == form_fields(admin_client, url)


def test_a_subclass_serves_a_proxy_model(rf: Any) -> None:
    """The page is read-only too, although the proxy only inherits its columns."""
    page = type("NightlyAdmin", (TaskResultAdmin,), {})(NightlyResult, admin.site)
    shown = set(page.get_readonly_fields(rf.get("/")))
    assert {field.name for field in TaskResult._meta.fields} == shown - {"completed"}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("unfinished", "expected"),
    [
        (1, "Asked the workers to end 1 task."),
        (2, "Asked the workers to end 2 tasks."),
    ],
)
def test_terminate_says_how_many_tasks_were_meant(
    admin_client: Client, unfinished: int, expected: str
) -> None:
    """Finished tasks are not counted."""
    rows = [task(f"t{index}", states.STARTED) for index in range(unfinished)]
    response = terminate(admin_client, *rows, task("done"), task("failed", states.FAILURE))
    assert [("success", expected)] == told(response)


def test_terminate_asks_the_workers(
    admin_client: Client, revoked: Callable[[], list[dict[str, Any]]]
) -> None:
    """Workers kill the running tasks and skip the waiting ones; other tasks are unaffected."""
    rows = [task("running", states.STARTED), task("waiting", states.PENDING), task("done")]
    terminate(admin_client, *rows)
    [message] = revoked()
    assert {"running", "waiting"} == set(message["task_id"])
    assert message["terminate"] is True


def test_terminate_leaves_finished_tasks_alone(
    admin_client: Client, revoked: Callable[[], list[dict[str, Any]]]
) -> None:
    """Without a task to end, no message is sent to the workers."""
    response = terminate(admin_client, task("done"))
    assert [("warning", "All of the selected tasks have already ended.")] == told(response)
    assert [] == revoked()


def test_terminate_says_that_the_broker_is_away(admin_client: Client, app: Celery) -> None:
    """The page shows an error message instead of failing."""
    app.conf.update(broker_url="amqp://guest:secret@127.0.0.1:1//")
    response = terminate(admin_client, task("running", states.STARTED))
    [(level, text)] = told(response)
    assert (302, "error") == (response.status_code, level)
    assert text.startswith("The message broker cannot be reached, so no task was ended: ")
    assert "secret" not in text


def test_terminate_needs_the_permission_to_change(
    client: Client, django_user_model: type[User], revoked: Callable[[], list[dict[str, Any]]]
) -> None:
    """A user who may only view is not offered the action, and a forged request is refused."""
    user = django_user_model.objects.create_user("viewer")
    client.force_login(with_permissions(user, "view_taskresult"))
    row = task("running", states.STARTED)
    assert "terminate_tasks" not in client.get(reverse(CHANGELIST)).content.decode()
    terminate(client, row)
    assert [] == revoked()


@pytest.mark.usefixtures("app")
def test_terminate_is_offered_with_the_permission(
    client: Client, django_user_model: type[User]
) -> None:
    """The permission to change is enough; the user need not be a superuser."""
    user = django_user_model.objects.create_user("operator")
    client.force_login(with_permissions(user, "view_taskresult", "change_taskresult"))
    row = task("running", states.STARTED)
    assert "Terminate selected tasks" in client.get(reverse(CHANGELIST)).content.decode()
    assert [("success", "Asked the workers to end 1 task.")] == told(terminate(client, row))


@pytest.mark.parametrize(
    ("status", "shown"), [(states.SUCCESS, True), (states.FAILURE, True), (states.STARTED, False)]
)
def test_only_what_has_ended_shows_when(admin_client: Client, status: str, shown: bool) -> None:
    """The column behind it changes with every stored state, so unfinished tasks do not show it."""
    row = task("t1", status)
    page = TaskResultAdmin(TaskResult, admin.site)
    assert (row.date_done if shown else None) == page.completed(row)
    change = reverse("admin:django_celery_results_taskresult_change", args=[row.pk])
    for url in (reverse(CHANGELIST), change):
        assert "Completed DateTime" in admin_client.get(url).content.decode()
