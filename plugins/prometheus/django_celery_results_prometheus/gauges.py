"""The gauges: one small database query for each, at every scrape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import states
from django.db import connections
from django.db.models import Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .options import options
from .time_limits import time_limit

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import Model, QuerySet

__all__ = ["GAUGES", "DatabaseCollector"]

logger = logging.getLogger(__name__)

#: The planner's estimate of a table's rows; missing or not above 0 before its first analysis.
ESTIMATES: Mapping[str, str] = {
    "postgresql": "SELECT reltuples::bigint FROM pg_class WHERE oid = quote_ident(%s)::regclass",
    "mysql": "SELECT table_rows FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = %s",
}


@dataclass(frozen=True)
class Measured:
    """A gauge, and the query that measures its value."""

    name: str
    documentation: str
    #: The queryset of the rows to measure.
    rows: Callable[[], QuerySet[Any]]
    measure: Callable[[QuerySet[Any]], float]

    def family(self) -> GaugeMetricFamily:
        """Return the metric without a value."""
        return GaugeMetricFamily(self.name, self.documentation)

    def collect(self) -> GaugeMetricFamily:
        """Return the metric with its value."""
        rows = self.rows()
        family = self.family()
        with time_limit(connections[rows.db], options.timeout):
            family.add_metric([], self.measure(rows))
        return family


def _count(rows: QuerySet[Any]) -> int:
    """Return the number of rows, up to the limit."""
    counted: int = rows.order_by().values("pk")[: options.count_limit].count()
    return counted


def _estimate(rows: QuerySet[Any]) -> int:
    """Return the approximate number of rows; count them if the database does not know it."""
    connection = connections[rows.db]
    query = ESTIMATES.get(connection.vendor)
    if query is not None:
        with connection.cursor() as cursor:
            cursor.execute(query, [rows.model._meta.db_table])
            estimate: int = (cursor.fetchone() or (0,))[0] or 0
        if estimate > 0:
            return estimate
    return _count(rows)


def _age(rows: QuerySet[Any]) -> float:
    """Return the age of the oldest row in seconds, or zero without rows."""
    some = rows.order_by().values("date_created")[: options.count_limit]
    oldest: datetime | None = some.aggregate(oldest=Min("date_created"))["oldest"]
    return 0.0 if oldest is None else (timezone.now() - oldest).total_seconds()


def _rows_of(model: type[Model]) -> QuerySet[Any]:
    rows: QuerySet[Any] = model._default_manager.all()
    return rows.using(options.database) if options.database else rows


def _tasks() -> QuerySet[Any]:
    from django_celery_results.models import TaskResult

    return _rows_of(TaskResult)


def _groups() -> QuerySet[Any]:
    from django_celery_results.models import GroupResult

    return _rows_of(GroupResult)


def _chords() -> QuerySet[Any]:
    from django_celery_results.models import ChordCounter

    return _rows_of(ChordCounter)


def _unfinished() -> QuerySet[Any]:
    rows: QuerySet[Any] = _tasks().filter(status__in=sorted(states.UNREADY_STATES))
    return rows


GAUGES = (
    Measured(
        "celery_results_rows",
        "Stored task results, approximately",
        _tasks,
        _estimate,
    ),
    Measured(
        "celery_results_group_rows",
        "Stored groups, approximately",
        _groups,
        _estimate,
    ),
    Measured(
        "celery_results_oldest_unfinished_seconds",
        "Seconds since the first state of the oldest unfinished task was stored",
        _unfinished,
        _age,
    ),
    Measured(
        "celery_results_chords_waiting",
        "Chords whose body has not been sent yet",
        _chords,
        _count,
    ),
)


class DatabaseCollector(Collector):
    """Measures the gauges in the results database, each time it is collected.

    A gauge that fails is logged and left out; it harms neither the others nor the
    exporter. If the setting ``GAUGES`` is false, no query is made.
    """

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics without values, so that registering makes no query."""
        yield from (gauge.family() for gauge in GAUGES)
        yield _failures()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        failed = 0
        for gauge in GAUGES:
            try:
                # Inside the try: a wrong setting counts as a failure too.
                found = [gauge.collect()] if options.gauges else []
            except Exception:
                logger.exception("The gauge %s could not be measured", gauge.name)
                failed += 1
            else:
                yield from found
        yield _failures(failed)


def _failures(value: float | None = None) -> GaugeMetricFamily:
    name = "celery_results_failed_gauges"
    return GaugeMetricFamily(name, "Gauges that this scrape could not measure", value)
