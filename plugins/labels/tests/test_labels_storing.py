"""Which labels are stored beside a result, where, and at what cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from django.core.cache import caches
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from labels_rows import labels_of, request_with, store

from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure


pytestmark = pytest.mark.django_db


def statements(function: Any, *arguments: Any, **keywords: Any) -> list[str]:
    """Return the first words of the statements that a call makes."""
    with CaptureQueriesContext(connection) as captured:
        function(*arguments, **keywords)
    return [query["sql"].split()[0] for query in captured.captured_queries]


# -- From headers --------------------------------------------------------------------


def test_header_labels_the_result() -> None:
    """Every value as text."""
    store(labels={"tenant": 3, "user": "x", "gone": None}, other=1)
    assert {"tenant": "3", "user": "x"} == labels_of()


def test_other_headers_are_labels_where_the_settings_say_so(
    configure: Configure,
) -> None:
    """Under their own names."""
    configure(labels={"HEADERS": ["request_id", "absent"]})
    store(request_id="r1", origin_of_it="web", labels={"tenant": 3})
    assert {"request_id": "r1", "tenant": "3"} == labels_of()


def test_later_state_changes_labels_and_loses_none() -> None:
    """They are written over by name."""
    store(status=states.STARTED, labels={"tenant": 3, "user": "x"})
    store(labels={"tenant": 4})
    assert {"tenant": "4", "user": "x"} == labels_of()


def test_what_was_not_written_is_not_labelled() -> None:
    """SUCCESS is final, and so are its labels."""
    store(labels={"tenant": 3})
    store(status=states.STARTED, labels={"tenant": 4})
    assert {"tenant": "3"} == labels_of()


# -- From a function -----------------------------------------------------------------


def test_function_labels_by_the_record(
    configure: Configure,
) -> None:
    """The one of the documentation: by queue and stamps. The header counts more."""
    configure(labels={"FUNCTION": "labels_functions.labels_of"})
    facts: Any = {"stamped_headers": ["tenant", "user"], "stamps": {"tenant": [3], "user": ["x"]}}
    store(delivery_info={"routing_key": "mail"}, labels={"user": "y"}, **facts)
    assert {"queue": "mail", "tenant": "3", "user": "y"} == labels_of()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("failing", "The function of the setting FUNCTION failed for task t1"),
        ("odd", "Task t1: what the function of the setting FUNCTION gave is no mapping"),
    ],
)
def test_broken_function_is_logged(
    configure: Configure,
    caplog: pytest.LogCaptureFixture,
    function: str,
    message: str,
) -> None:
    """Neither the result nor the labels of the header are lost."""
    configure(labels={"FUNCTION": f"labels_functions.{function}"})
    store(labels={"tenant": 3})
    assert {"tenant": "3"} == labels_of()
    assert message in caplog.text


# -- Bounds --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "kept", "message"),
    [
        ({"a": ["x"], "b": 1}, {"b": "1"}, "Task t1 is not labelled 'a': a label is text"),
        ({"a": "x" * 201}, {}, "Task t1 is not labelled 'a': the value of a label has 201"),
        ({"": 1, "b": 1}, {"b": "1"}, "Task t1 is not labelled '': the name of a label has"),
        ("tenant=3", {}, "Task t1: the header 'labels' is no mapping of labels"),
    ],
)
def test_what_cannot_be_a_label_is_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
    labels: Any,
    kept: dict[str, str],
    message: str,
) -> None:
    """With the task and the reason, and not the value."""
    store(labels=labels)
    assert kept == labels_of()
    assert message in caplog.text
    assert "xxx" not in caplog.text


def test_labels_beyond_the_most_are_left_out(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """Those that were given first stay."""
    configure(labels={"MAX_LABELS": 2})
    store(labels={"a": 1, "b": 2, "c": 3})
    assert {"a": "1", "b": "2"} == labels_of()
    assert "Task t1 is not labelled 'c': it has 2 labels, the most that" in caplog.text


# -- Cost ----------------------------------------------------------------------------


def test_labels_cost_one_statement(make_backend: MakeBackend) -> None:
    """Beside the result's own; a savepoint where a transaction is open."""
    backend = make_backend()
    request = request_with(labels={"a": 1, "b": 2})
    done = statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert ["INSERT", "SAVEPOINT", "INSERT", "RELEASE"] == done


@pytest.mark.django_db(transaction=True)
def test_labels_cost_one_statement_outside_of_a_transaction(make_backend: MakeBackend) -> None:
    """Which makes its own."""
    backend = make_backend()
    request = request_with(labels={"a": 1, "b": 2})
    done = statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert 2 == done.count("INSERT")
    assert {"INSERT", "BEGIN", "COMMIT"} >= set(done)


def test_no_labels_cost_nothing(make_backend: MakeBackend) -> None:
    """Whatever other headers there are."""
    backend = make_backend()
    request = request_with(other=1)
    assert ["INSERT"] == statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)


# -- Where ---------------------------------------------------------------------------


class Secondary:
    """A router that has all results in the second database."""

    def db_for_write(self, _model: object, **_hints: object) -> str:
        """Write there."""
        return "secondary"


@pytest.mark.django_db(databases=["default", "secondary"])
@pytest.mark.parametrize(
    ("url", "routers"), [("django-db://secondary", []), ("django-db", [Secondary()])]
)
def test_labels_are_on_the_database_of_the_results(
    make_backend: MakeBackend, settings: Settings, url: str, routers: list[Any]
) -> None:
    """Whether the URL or a router chose it."""
    settings.DATABASE_ROUTERS = routers
    request = request_with(labels={"tenant": 3})
    make_backend(url).store_result("t1", 1, states.SUCCESS, request=request)
    assert ({}, {"tenant": "3"}) == (labels_of(using="default"), labels_of(using="secondary"))


def test_cached_result_has_no_labels(make_backend: MakeBackend) -> None:
    """There is no row to stand beside; nothing is written or logged."""
    caches["default"].clear()
    request = request_with(labels={"tenant": 3})
    backend = make_backend("django-cache://default")
    assert [] == statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert 1 == backend.get_result("t1")


# -- What goes wrong -----------------------------------------------------------------


def test_failing_labels_harm_neither_the_result_nor_the_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with the task, and what is open stays usable."""

    def broken(execute: Any, sql: str, *rest: Any) -> Any:
        if "labels_label" in sql:
            return execute("SELECT no_such_column", (), *rest[1:])
        return execute(sql, *rest)

    with transaction.atomic(), connection.execute_wrapper(broken):
        store(labels={"tenant": 3})
        assert states.SUCCESS == TaskResult.objects.get(task_id="t1").status
    assert "The labels of task t1 were not stored; its result was" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_labels_of_a_result_that_has_just_gone_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody forgot it between its two statements."""

    def forgetting(execute: Any, sql: str, *rest: Any) -> Any:
        if "labels_label" in sql and sql.startswith("INSERT"):
            TaskResult.objects.filter(task_id="t1").delete()
        return execute(sql, *rest)

    with connection.execute_wrapper(forgetting):
        store(labels={"tenant": 3})
    assert {} == labels_of()
    assert "The labels of task t1 were not stored" in caplog.text


def test_disabled_plugin_labels_nothing(
    configure: Configure,
) -> None:
    """And the labels that are there stay."""
    store(labels={"tenant": 3})
    configure(DISABLED_PLUGINS=["labels"])
    store("t2", labels={"tenant": 3})
    assert ({"tenant": "3"}, {}) == (labels_of("t1"), labels_of("t2"))
