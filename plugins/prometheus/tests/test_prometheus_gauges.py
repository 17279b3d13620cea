"""The gauges are right, bounded in their cost, and harmless if they fail."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone
from prometheus_client import CollectorRegistry

from django_celery_results.models import ChordCounter, TaskResult
from django_celery_results_prometheus import gauges
from django_celery_results_prometheus.gauges import DatabaseCollector
from django_celery_results_prometheus.time_limits import time_limit
from tests.integration.notes import eventually

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

FAILED = "celery_results_failed_gauges"


@pytest.fixture
def backend(make_backend: MakeBackend) -> Any:
    """A database backend."""
    return make_backend()


def measured() -> dict[str, float]:
    """Return the values of the gauges by name."""
    families = list(DatabaseCollector().collect())
    return {family.name: family.samples[0].value for family in families}


def unfinished(task_id: str, state: str, **age: float) -> None:
    """Create a row whose task was first stored this long ago."""
    TaskResult.objects.create(task_id=task_id, status=state)
    moment = timezone.now() - timedelta(**age)
    TaskResult.objects.filter(task_id=task_id).update(date_created=moment)


# -- Right values --------------------------------------------------------------------


def test_gauges_of_empty_tables_are_zero() -> None:
    """An alert needs a value, not a gap."""
    expected = dict.fromkeys((gauge.name for gauge in gauges.GAUGES), 0)
    assert {**expected, FAILED: 0} == measured()


def test_rows_without_an_estimate_are_counted(backend: Any) -> None:
    """As in new tables."""
    for number in range(3):
        backend.store_result(f"t{number}", 1, "SUCCESS")
    GroupResult("g1", [backend.app.AsyncResult("t1")], app=backend.app).save(backend)
    found = measured()
    if connection.vendor == "mysql":
        # InnoDB updates its own estimate shortly afterwards.
        assert found["celery_results_rows"] <= 3
    else:
        assert (3, 1) == (found["celery_results_rows"], found["celery_results_group_rows"])


def test_oldest_unfinished_task_gives_the_age() -> None:
    """Older tasks that have ended do not count."""
    unfinished("new", "PENDING", minutes=1)
    unfinished("old", "STARTED", hours=1)
    unfinished("done", "SUCCESS", hours=2)
    assert 3600 == pytest.approx(measured()["celery_results_oldest_unfinished_seconds"], abs=60)


def test_waiting_chords_are_counted(backend: Any) -> None:
    """Each has one row."""
    for number in range(2):
        backend.apply_chord((f"g{number}", [backend.app.AsyncResult("t1")]), None)
    assert 2 == ChordCounter.objects.count()
    assert 2 == measured()["celery_results_chords_waiting"]


@pytest.mark.parametrize(
    ("options", "alias"), [({}, "default"), ({"DATABASE": "secondary"}, "secondary")]
)
def test_gauges_query_the_database_in_the_settings(
    configure: Configure, options: dict[str, str], alias: str
) -> None:
    """Without the setting, the routers choose."""
    configure(prometheus=options)
    assert {alias} == {gauge.rows().db for gauge in gauges.GAUGES}


def test_gauges_can_be_switched_off(configure: Configure, django_assert_num_queries: Any) -> None:
    """As in a site whose results are in a cache."""
    configure(prometheus={"GAUGES": False})
    with django_assert_num_queries(0):
        assert {FAILED: 0} == measured()


# -- Bounded cost --------------------------------------------------------------------


def test_counting_stops_at_the_limit(backend: Any, configure: Configure) -> None:
    """The table may have any number of rows."""
    configure(prometheus={"COUNT_LIMIT": 2})
    for number in range(3):
        backend.apply_chord((f"g{number}", [backend.app.AsyncResult("t1")]), None)
    assert 2 == measured()["celery_results_chords_waiting"]


def look_at_tables() -> bool:
    """Analyze the tables; return whether the database then has an estimate."""
    statements = {"postgresql": "ANALYZE {}", "mysql": "ANALYZE TABLE {}"}
    if connection.vendor not in statements:
        return True
    table = TaskResult._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(statements[connection.vendor].format(connection.ops.quote_name(table)))
        cursor.fetchall() if connection.vendor == "mysql" else None
        cursor.execute(gauges.ESTIMATES[connection.vendor], [table])
        [known] = cursor.fetchone()
    return bool(known and known > 0)


# MariaDB's ANALYZE TABLE ends a transaction.
@pytest.mark.django_db(transaction=True)
def test_estimate_is_used_if_there_is_one(backend: Any, django_assert_num_queries: Any) -> None:
    """PostgreSQL and MariaDB have the planner's estimate; other databases count."""
    for number in range(3):
        backend.store_result(f"t{number}", 1, "SUCCESS")
    # On a busy server, MariaDB may not see the rows in the first analysis.
    eventually(look_at_tables, 30)
    with django_assert_num_queries(1):
        assert 3 == gauges._estimate(TaskResult.objects.all())


SLOW = {
    "postgresql": "SELECT pg_sleep(5)",
    "mysql": "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, "
    "information_schema.columns c",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    " WHERE x < 0",
}


def execute(statement: str) -> Any:
    """Return the first value that a statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_slow_query_is_stopped() -> None:
    """By the database; the connection stays usable."""
    with pytest.raises(OperationalError), time_limit(connection, 0.05):
        execute(SLOW[connection.vendor])
    assert 1 == execute("SELECT 1")


LIMITS = {
    "postgresql": "SELECT current_setting('statement_timeout')",
    "mysql": "SELECT @@max_statement_time",
    "sqlite": "SELECT 1",
}


@pytest.mark.parametrize("fails", [False, True])
def test_limit_is_reset(fails: bool) -> None:
    """Also inside a transaction of the caller, and after a failed query."""
    before = execute(LIMITS[connection.vendor])
    try:
        with transaction.atomic(), time_limit(connection, 5):
            execute("SELECT nothing" if fails else "SELECT 1")
    except DatabaseError:
        assert fails
    assert before == execute(LIMITS[connection.vendor])


def test_other_databases_have_no_limit() -> None:
    """They are queried without one."""

    class Other:
        vendor = "oracle"

    with time_limit(Other(), 0.001):
        assert 1 == execute("SELECT 1")


def test_limit_comes_from_the_settings(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In seconds."""
    configure(prometheus={"TIMEOUT": 7})
    seen: list[float] = []

    def note(_connection: Any, seconds: float) -> Any:
        seen.append(seconds)
        return nullcontext()

    monkeypatch.setattr(gauges, "time_limit", note)
    measured()
    assert [7] * len(gauges.GAUGES) == seen


# -- Failures ------------------------------------------------------------------------


def test_failing_gauge_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others stay, the log has the error, and a metric counts the missing gauge."""

    def fail(*_arguments: Any) -> None:
        raise OperationalError("canceled")

    broken = gauges.Measured("broken", "It fails", gauges._tasks, fail)  # type: ignore[arg-type]
    monkeypatch.setattr(gauges, "GAUGES", (broken, *gauges.GAUGES[-1:]))
    assert {"celery_results_chords_waiting": 0, FAILED: 1} == measured()
    message = "The gauge broken could not be measured"
    assert [(gauges.logger.name, logging.ERROR, message)] == caplog.record_tuples


@pytest.mark.parametrize("options", [{"DATABASE": "tertiary"}, {"GAUGES": "x"}, {"TIMEOUT": 0}])
def test_wrong_setting_harms_no_exporter(configure: Configure, options: dict[str, Any]) -> None:
    """The exporter may serve other metrics as well."""
    configure(prometheus=options)
    assert {FAILED: len(gauges.GAUGES)} == measured()


def test_registering_makes_no_query(django_assert_num_queries: Any) -> None:
    """An exporter may register the collector on import."""
    with django_assert_num_queries(0):
        CollectorRegistry(auto_describe=True).register(DatabaseCollector())


def test_each_gauge_is_one_query(backend: Any, django_assert_max_num_queries: Any) -> None:
    """Not counting the queries that set the limit, and one more per missing estimate."""
    backend.store_result("t1", 1, "SUCCESS")
    with django_assert_max_num_queries(30) as queries:
        measured()
    about_tables = [one for one in queries if "django_celery_results" in one["sql"]]
    assert len(about_tables) <= len(gauges.GAUGES) + 2
