"""The plugin's settings."""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.core.checks import CheckMessage, Error
from django.db import connections

from django_celery_results.options import Option, PluginOptions, boolean, text, whole_number

__all__ = ["DIRECTORY", "PrometheusOptions", "multiprocess_directory", "options"]

#: The environment variable that lets prometheus-client count in several processes.
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


def _alias(value: object) -> str:
    if isinstance(value, str) and value in connections:
        return value
    raise ValueError(f"one of {', '.join(map(repr, connections))}")


class PrometheusOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["prometheus"]``."""

    plugin = "prometheus"
    check_prefix = "django_celery_results_prometheus"

    #: The maximum number of task names that a process tells apart.
    max_tasks: Option[int] = Option(whole_number(1), default=200, check="E002")
    #: The maximum number of states, in addition to Celery's own, that a process tells apart.
    max_states: Option[int] = Option(whole_number(0), default=10, check="E003")
    #: The token that a scraper sends as ``Authorization: Bearer ...``; ``None`` allows no token.
    token: Option[str | None] = Option(text, default=None, check="E004", secret=True)
    #: Whether everyone may read the metrics.
    public: Option[bool] = Option(boolean, default=False, check="E005")
    #: Whether a scrape also queries the database.
    gauges: Option[bool] = Option(boolean, default=True, check="E008")
    #: Alias of the database to query; ``None`` lets the routers choose.
    database: Option[str | None] = Option(_alias, default=None, check="E009")
    #: Time limit for each query of a scrape, in seconds.
    timeout: Option[int] = Option(whole_number(1), default=2, check="E006")
    #: The maximum number of rows that a query of a scrape looks at.
    count_limit: Option[int] = Option(whole_number(1), default=10_000, check="E007")

    def check(self) -> Iterator[CheckMessage]:
        """Yield the problems of the settings and of the counters' directory."""
        yield from super().check()
        directory = multiprocess_directory()
        if directory and not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            yield Error(
                f"{DIRECTORY} is {directory!r}, where this process cannot write.",
                hint="Create the directory before the processes start, or nothing is counted.",
                id=f"{self.check_prefix}.E010",
            )


options = PrometheusOptions()


def multiprocess_directory() -> str | None:
    """Return the directory of the processes' counters, or ``None``."""
    return os.environ.get(DIRECTORY)
