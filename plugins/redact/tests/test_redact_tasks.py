"""Masking in single tasks, by the setting ``TASKS`` and by Django's decorators."""

from __future__ import annotations

import runpy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Task, current_app, shared_task
from celery.app.task import Context
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from django_celery_results.models import TaskResult
from django_celery_results.records import TaskRecord
from django_celery_results_redact.masking import TaskMasking

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

MASK = "********"


def masked(name: str | None, status: str = "SUCCESS", **values: Any) -> TaskRecord:
    """Return a masked record of the named task."""
    record = TaskRecord(task_id="t1", status=status, name=name, **values)
    TaskMasking(record).apply()
    return record


# -- The setting ---------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {
    "args": "(1,)",
    "kwargs": "{}",
    "result": {"a": 1},
    "traceback": "lines",
    "meta": {"children": [1], "b": 2},
}


def test_all_fields_of_a_task_can_be_masked(configure: Configure) -> None:
    """Only the ids of the children remain."""
    configure(redact={"TASKS": {"accounts.*": "all"}})
    record = masked("accounts.login", **EVERYTHING)
    assert [MASK] * 4 == [record.args, record.kwargs, record.result, record.traceback]
    assert {"children": [1], "b": MASK} == record.meta


def test_other_tasks_are_left_alone(configure: Configure) -> None:
    """A task without a name matches no pattern."""
    configure(redact={"TASKS": {"accounts.*": "all"}})
    expected = list(EVERYTHING.values())
    for name in ("other", None):
        record = masked(name, **EVERYTHING)
        assert expected == [getattr(record, field) for field in EVERYTHING]


def test_bracket_in_a_name_stands_for_itself(configure: Configure) -> None:
    """Unlike in a shell pattern."""
    configure(redact={"TASKS": {"pay[card]": "all"}})
    assert [MASK, 1] == [masked(name, result=1).result for name in ("pay[card]", "payc")]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (
            {"exc_type": "E", "exc_message": ["x"], "exc_module": "m"},
            {"exc_type": "E", "exc_message": (MASK,), "exc_module": "m"},
        ),
        (
            {"exc_type": "E", "exc_message": ["x"], "own": "x"},
            {"exc_type": "E", "exc_message": (MASK,)},
        ),
        ({"card": "x"}, MASK),
        ("no failure of Celery's", MASK),
    ],
)
def test_failure_keeps_its_class(configure: Configure, result: Any, expected: Any) -> None:
    """Celery can still raise it."""
    configure(redact={"TASKS": {"*": ["result"]}})
    assert expected == masked("a", "FAILURE", result=result).result


def test_exception_keeps_its_class(configure: Configure) -> None:
    """The pickle serializer stores the exception itself."""
    configure(redact={"TASKS": {"*": ["result"]}})
    error = KeyError("x", 1)
    result = masked("a", "RETRY", result=error).result
    assert (KeyError, (MASK,), ("x", 1)) == (type(result), result.args, error.args)


def test_whole_arguments_are_masked_in_other_places(configure: Configure) -> None:
    """The plugin knows their values if the record holds the arguments themselves."""
    configure(redact={"TASKS": {"a": ["args"], "*": ["kwargs"]}})
    record = masked("a", args=("hidden",), kwargs={"b": "covered"}, result="hidden covered open")
    assert (MASK, MASK, f"{MASK} {MASK} open") == (record.args, record.kwargs, record.result)


@shared_task(name="redact.pay")
def pay(user: str, card: str, *more: str, note: str = "") -> None:
    """A task with named arguments."""


def test_argument_is_masked_by_its_name(configure: Configure) -> None:
    """Whether it is passed by position or by keyword."""
    configure(redact={"TASKS": {"redact.*": ["card"]}})
    by_place = masked("redact.pay", args="('bob', 'visa', 'x')", kwargs="{}", result=["a visa"])
    by_name = masked("redact.pay", args="('bob',)", kwargs="{'card': 'visa', 'note': ''}")
    assert ("('bob', '********', 'x')", [f"a {MASK}"]) == (by_place.args, by_place.result)
    assert "{'card': '********', 'note': ''}" == by_name.kwargs


def test_arguments_themselves_are_masked_by_name(configure: Configure) -> None:
    """A name of ``*args`` covers all the arguments in it."""
    configure(redact={"TASKS": {"redact.pay": ["user", "more"]}})
    record = masked("redact.pay", args=["bobby", "visa", "x", None], result="bobby paid")
    assert ([MASK, "visa", MASK, None], f"{MASK} paid") == (record.args, record.result)


def test_argument_is_masked_with_everything_in_it(configure: Configure) -> None:
    """Even if a part of it has a secret name itself."""
    configure(redact={"TASKS": {"redact.pay": ["card"]}})
    record = masked("redact.pay", args="('bob', {'token': 'x', 'a': 1}, 2)")
    assert "('bob', ********, 2)" == record.args


def test_arguments_that_cannot_be_parsed_are_masked_as_a_whole(configure: Configure) -> None:
    """The plugin cannot tell which argument is which."""
    configure(redact={"TASKS": {"redact.pay": ["card"]}})
    assert MASK == masked("redact.pay", args="(<User: bob>, 'visa')").args


# -- Django's sensitive_variables ----------------------------------------------------


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A third-party decorator, as tasks may have."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@shared_task(name="redact.login", bind=True)
@logged
@sensitive_variables("word", "derived")
def login(task: Any, user: str, word: str) -> str:
    """A task that fails with its argument and a value derived from it in the message."""
    derived = word[::-1] + "!"
    message = f"{user}: {word} {derived} {task.name}"
    raise ValueError(message)


@shared_task(name="redact.hidden")
@sensitive_variables()
def hidden(user: str) -> str:
    """A task whose variables are all sensitive."""
    return f"seen: {user}"


@sensitive_post_parameters("pass")
def posted(request: Any) -> None:
    """A view that fails with the posted values in the message."""
    message = f"{request.POST['user']}: {request.POST['pass']}"
    raise ValueError(message)


@sensitive_post_parameters()
def posted_with_nothing_to_show(request: Any) -> None:
    """As above, with every parameter sensitive."""
    message = f"{request.POST['user']}: {request.POST['pass']}"
    raise ValueError(message)


@shared_task(name="redact.view")
def view(is_all: bool) -> None:
    """A task that calls a view with a posted form."""
    request = RequestFactory().post("/", {"pass": "swordfish", "user": "robert"})
    (posted_with_nothing_to_show if is_all else posted)(request)


def refuse() -> Any:
    """Fail, as a query does in a broken transaction."""
    raise RuntimeError


@shared_task(name="redact.lazy")
def lazy() -> None:
    """A task that fails with local objects that raise when they are inspected."""
    user = SimpleLazyObject(refuse)
    form = "application/x-www-form-urlencoded"
    request: Any = RequestFactory().post("/", "pass=swordfish", content_type=form)
    request.sensitive_post_parameters = "__ALL__"
    raise ValueError([type(user), type(request)])


class Largest(Task):  # type: ignore[type-arg]  # the class takes no parameter at run time
    """A task whose function is written in C."""

    name = "redact.largest"
    run = max


@pytest.fixture(autouse=True)
def _tasks_are_known() -> None:
    current_app.finalize()


def test_sensitive_arguments_are_masked_before_the_task_runs() -> None:
    """STARTED is stored then, and Django's wrapper gets its attribute only during the call."""
    record = masked("redact.login", "STARTED", args="('bob', 'swordfish')", kwargs="{'word': 'x'}")
    assert ("('bob', '********')", "{'word': '********'}") == (record.args, record.kwargs)


def test_all_arguments_are_masked_if_the_decorator_names_none() -> None:
    """Django takes that as all of them, too."""
    record = masked("redact.hidden", args="('robert',)", kwargs="{}")
    assert (MASK, MASK) == (record.args, record.kwargs)


@pytest.fixture
def run(make_backend: MakeBackend) -> Callable[..., TaskResult]:
    """Run a task eagerly and return its row."""
    backend: Any = make_backend(
        result_extended=True, task_always_eager=True, task_store_eager_result=True
    )

    def run(name: str, *args: Any) -> TaskResult:
        result = backend.app.tasks[name].apply(args=args)
        row: TaskResult = TaskResult.objects.get(task_id=result.id)
        return row

    return run


def columns(row: TaskResult) -> str:
    """Return the repr of all columns of a row."""
    return repr([getattr(row, one.attname) for one in row._meta.concrete_fields])


@pytest.mark.django_db
def test_sensitive_values_are_in_no_column(run: Callable[..., TaskResult]) -> None:
    """Neither the argument nor the derived variable; other values remain."""
    row = run("redact.login", "robert", "swordfish")
    found = [one for one in ("robert", "swordfish", "hsifdrows") if one in columns(row)]
    assert (["robert"], "FAILURE") == (found, row.status)
    assert f"ValueError: robert: {MASK} {MASK} redact.login" in (row.traceback or "")


@pytest.mark.django_db
def test_sensitive_argument_is_masked_in_the_result(run: Callable[..., TaskResult]) -> None:
    """The plugin knows the arguments of the running task, and finds them in other fields."""
    row = run("redact.hidden", "swordfish")
    assert ["seen" in columns(row), "swordfish" in columns(row)] == [True, False]


@pytest.mark.django_db
@pytest.mark.parametrize(("is_all", "expected"), [(False, ["robert"]), (True, [])])
def test_sensitive_post_parameters_are_in_no_column(
    run: Callable[..., TaskResult], is_all: bool, expected: list[str]
) -> None:
    """They are found on the requests in the frames of the traceback."""
    row = run("redact.view", is_all)
    assert expected == [one for one in ("robert", "swordfish") if one in columns(row)]


@pytest.mark.django_db
def test_objects_that_cannot_be_inspected_harm_no_result(
    run: Callable[..., TaskResult], settings: Settings
) -> None:
    """Neither a lazy object nor a form that is too large to be read."""
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1
    assert "ValueError" in str(run("redact.lazy").result)


def test_function_without_a_signature_is_no_error() -> None:
    """As some functions written in C."""
    current_app.register_task(Largest())
    record = masked("redact.largest", args="('password=x',)")
    assert f"('password={MASK}',)" == record.args


@pytest.mark.django_db
def test_unknown_task_is_no_error(make_backend: MakeBackend) -> None:
    """The process that stores a result need not have the worker's tasks."""
    backend = make_backend()
    backend.store_result("t1", 5, "SUCCESS", request=Context({"task": "redact.unknown"}))
    assert 5 == backend.get_result("t1")


EXAMPLE = Path(__file__).resolve().parents[3] / "docs/examples/mysite/sensitive_tasks.py"


@pytest.mark.django_db
def test_example_of_the_documentation_stores_no_secret(run: Callable[..., TaskResult]) -> None:
    """Neither the argument nor the value derived from it."""
    unlock = runpy.run_path(str(EXAMPLE), run_name="sensitive_tasks")["unlock"]
    row = run(unlock.name, "robert", "swordfish")
    assert f"ValueError: no door opens with {MASK}" in (row.traceback or "")
    assert "swordfish" not in columns(row)
