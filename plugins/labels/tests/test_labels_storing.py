"""Which labels are stored with a result, in which database, and at what cost."""

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
    """Return the first word of each SQL statement that a call executes."""
    with CaptureQueriesContext(connection) as captured:
        function(*arguments, **keywords)
    return [query["sql"].split()[0] for query in captured.captured_queries]


# -- From headers --------------------------------------------------------------------


def test_header_labels_the_result() -> None:
    """Every value as text."""
    store(labels={"tenant": 3, "user": "x", "gone": None}, other=1)
    assert {"tenant": "3", "user": "x"} == labels_of()


def test_headers_named_in_the_settings_become_labels(
    configure: Configure,
) -> None:
    """With the header's name as the label's name."""
    configure(labels={"HEADERS": ["request_id", "absent"]})
    store(request_id="r1", origin_of_it="web", labels={"tenant": 3})
    assert {"request_id": "r1", "tenant": "3"} == labels_of()


def test_later_state_replaces_labels_and_loses_none() -> None:
    """Labels are replaced by name."""
    store(status=states.STARTED, labels={"tenant": 3, "user": "x"})
    store(labels={"tenant": 4})
    assert {"tenant": "4", "user": "x"} == labels_of()


def test_state_that_is_not_written_sets_no_labels() -> None:
    """SUCCESS is final, and so are its labels."""
    store(labels={"tenant": 3})
    store(status=states.STARTED, labels={"tenant": 4})
    assert {"tenant": "3"} == labels_of()


# -- From a function -----------------------------------------------------------------


def test_function_labels_by_the_record(
    configure: Configure,
) -> None:
    """The documentation's function, by queue and stamps; the header takes precedence."""
    configure(labels={"FUNCTION": "labels_functions.labels_of"})
    facts: Any = {"stamped_headers": ["tenant", "user"], "stamps": {"tenant": [3], "user": ["x"]}}
    store(delivery_info={"routing_key": "mail"}, labels={"user": "y"}, **facts)
    assert {"queue": "mail", "tenant": "3", "user": "y"} == labels_of()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "failing",
            "The function of the setting FUNCTION failed for task t1 and adds no labels",
        ),
        ("odd", "Task t1: the return value of the setting FUNCTION is not a mapping"),
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


# -- Limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "kept", "message"),
    [
        (
            {"a": ["x"], "b": 1},
            {"b": "1"},
            "Task t1 is not labelled 'a': the value of a label has to",
        ),
        ({"a": "x" * 201}, {}, "Task t1 is not labelled 'a': the value of a label has 201"),
        ({"": 1, "b": 1}, {"b": "1"}, "Task t1 is not labelled '': the name of a label has"),
        ("tenant=3", {}, "Task t1: the header 'labels' is not a mapping of labels"),
    ],
)
def test_invalid_label_is_skipped_and_logged(
    caplog: pytest.LogCaptureFixture,
    labels: Any,
    kept: dict[str, str],
    message: str,
) -> None:
    """The log has the task and the reason, but not the value."""
    store(labels=labels)
    assert kept == labels_of()
    assert message in caplog.text
    assert "xxx" not in caplog.text


def test_labels_above_the_limit_are_skipped(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """The first labels are stored."""
    configure(labels={"MAX_LABELS": 2})
    store(labels={"a": 1, "b": 2, "c": 3})
    assert {"a": "1", "b": "2"} == labels_of()
    assert "Task t1 is not labelled 'c': it already has 2 labels, the most" in caplog.text


# -- Cost ----------------------------------------------------------------------------


def test_labels_cost_one_statement(make_backend: MakeBackend) -> None:
    """In addition to the result's own; inside a transaction, with a savepoint."""
    backend = make_backend()
    request = request_with(labels={"a": 1, "b": 2})
    done = statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert ["INSERT", "SAVEPOINT", "INSERT", "RELEASE"] == done


@pytest.mark.django_db(transaction=True)
def test_labels_cost_one_statement_outside_a_transaction(make_backend: MakeBackend) -> None:
    """That statement has its own transaction."""
    backend = make_backend()
    request = request_with(labels={"a": 1, "b": 2})
    done = statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert 2 == done.count("INSERT")
    assert {"INSERT", "BEGIN", "COMMIT"} >= set(done)


def test_result_without_labels_costs_nothing(make_backend: MakeBackend) -> None:
    """Even if its message has other headers."""
    backend = make_backend()
    request = request_with(other=1)
    assert ["INSERT"] == statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)


# -- The database --------------------------------------------------------------------


class Secondary:
    """A router that keeps all results in the second database."""

    def db_for_write(self, _model: object, **_hints: object) -> str:
        """Return the second database."""
        return "secondary"


@pytest.mark.django_db(databases=["default", "secondary"])
@pytest.mark.parametrize(
    ("url", "routers"), [("django-db://secondary", []), ("django-db", [Secondary()])]
)
def test_labels_are_in_the_database_of_the_results(
    make_backend: MakeBackend, settings: Settings, url: str, routers: list[Any]
) -> None:
    """Whether the URL or a router selects it."""
    settings.DATABASE_ROUTERS = routers
    request = request_with(labels={"tenant": 3})
    make_backend(url).store_result("t1", 1, states.SUCCESS, request=request)
    assert ({}, {"tenant": "3"}) == (labels_of(using="default"), labels_of(using="secondary"))


def test_cached_result_has_no_labels(make_backend: MakeBackend) -> None:
    """Labels need a row to refer to; nothing is written or logged."""
    caches["default"].clear()
    request = request_with(labels={"tenant": 3})
    backend = make_backend("django-cache://default")
    assert [] == statements(backend.store_result, "t1", 1, states.SUCCESS, request=request)
    assert 1 == backend.get_result("t1")


# -- Errors --------------------------------------------------------------------------


def test_label_error_harms_neither_the_result_nor_the_transaction(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged with the task, and the open transaction stays usable."""

    def broken(execute: Any, sql: str, *rest: Any) -> Any:
        if "labels_label" in sql:
            return execute("SELECT no_such_column", (), *rest[1:])
        return execute(sql, *rest)

    with transaction.atomic(), connection.execute_wrapper(broken):
        store(labels={"tenant": 3})
        assert states.SUCCESS == TaskResult.objects.get(task_id="t1").status
    assert "The labels of task t1 were not stored, but its result was" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_labels_of_a_result_deleted_meanwhile_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It was forgotten between the statements for the result and the labels."""

    def forgetting(execute: Any, sql: str, *rest: Any) -> Any:
        if "labels_label" in sql and sql.startswith("INSERT"):
            TaskResult.objects.filter(task_id="t1").delete()
        return execute(sql, *rest)

    with connection.execute_wrapper(forgetting):
        store(labels={"tenant": 3})
    assert {} == labels_of()
    assert "The labels of task t1 were not stored" in caplog.text


def test_disabled_plugin_stores_no_labels(
    configure: Configure,
) -> None:
    """Stored labels stay."""
    store(labels={"tenant": 3})
    configure(DISABLED_PLUGINS=["labels"])
    store("t2", labels={"tenant": 3})
    assert ({"tenant": "3"}, {}) == (labels_of("t1"), labels_of("t2"))
