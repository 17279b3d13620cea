"""The settings."""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.core.checks import CheckMessage, Error
from django.db import connections

from django_celery_results.options import Option, PluginOptions, boolean, text, whole_number

__all__ = ["DIRECTORY", "PrometheusOptions", "multiprocess_directory", "options"]

#: The variable with which prometheus-client counts in several processes.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def _alias(value: object) -> str:
    if isinstance(value, str) and value in connections:
        return value
    raise ValueError(f"one of {', '.join(map(repr, connections))}")


class PrometheusOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["prometheus"]``."""

    plugin = "prometheus"
    check_prefix = "django_celery_results_prometheus"

    #: Names of tasks that a process tells apart.
    max_tasks: Option[int] = Option(whole_number(1), default=200, check="E002")
    #: States, besides Celery's own, that a process tells apart.
    max_states: Option[int] = Option(whole_number(0), default=10, check="E003")
    #: What a scraper sends as ``Authorization: Bearer ...``; ``None``: there is none.
    token: Option[str | None] = Option(text, default=None, check="E004", secret=True)
    #: Whether anybody may read the metrics.
    public: Option[bool] = Option(boolean, default=False, check="E005")
    #: Whether a scrape asks the database, too.
    gauges: Option[bool] = Option(boolean, default=True, check="E008")
    #: Alias of the database that it asks; ``None``: the one that the routers name.
    database: Option[str | None] = Option(_alias, default=None, check="E009")
    #: Seconds that each query of a scrape may take.
    timeout: Option[int] = Option(whole_number(1), default=2, check="E006")
    #: Rows that a query of a scrape looks at, at most.
    count_limit: Option[int] = Option(whole_number(1), default=10_000, check="E007")

    def check(self) -> Iterator[CheckMessage]:
        """Yield what is wrong with the settings, and with the directory of the counters."""
        yield from super().check()
        directory = multiprocess_directory()
        if directory and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            yield Error(
                f"{DIRECTORY} is {directory!r}, in which this process cannot write.",
                hint="Make the directory before the processes start; nothing is counted without.",
                id=f"{self.check_prefix}.E010",
            )


options = PrometheusOptions()


def multiprocess_directory() -> str | None:
    """Return the directory in which the processes keep their counters, if there is one."""
    return os.environ.get(DIRECTORY)
