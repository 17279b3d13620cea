"""The tasks that a worker runs, and the stored results to inspect afterwards."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

import together_tasks
from celery import chord, group
from prometheus_client.parser import text_string_to_metric_families
from together_tasks import NOTE, PASSWORD, PIN

from django_celery_results_labels import labels
from django_celery_results_prometheus.exposition import render
from django_celery_results_prometheus.labels import UNKNOWN
from tests import settings
from tests.integration import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_celery_results.records import StoredTask
    from tests.integration.conftest import Lab

__all__ = ["Canvas", "cached", "counted"]

SECRETS = {"password": PASSWORD, "note": NOTE}
LARGE = {"api_key": PASSWORD, "note": NOTE}


#: The labels of the metrics, in the order in which they make up a key.
KEYS = ("task", "state", "reason", "hook")


class Canvas:
    """Tasks of every kind, sent with a label and finished."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        with labels(tenant=3):
            self.login = together_tasks.login.delay("ann", pin=PIN, **SECRETS)
            self.refused = together_tasks.refuse.delay("bob", **SECRETS)
            self.insisted = together_tasks.insist.delay(password=PASSWORD)
            self.nothing = tasks.echo.delay(None)
            self.report = together_tasks.report.delay(1, **LARGE)
            self.group = group(tasks.add.s(one, one) for one in range(3))()
            header = [together_tasks.login.s(one, pin=PIN, **SECRETS) for one in ("cat", "dan")]
            self.chord: Any = chord(header, together_tasks.names.s()).delay()
            broken = [together_tasks.refuse.s("eve", **SECRETS) for _ in range(2)]
            self.broken: Any = chord(broken, tasks.total.s()).delay()
        self.plain = tasks.echo.delay("plain")
        self.group.save()
        for one in (*self.results(), self.plain):
            lab.get(one, propagate=False)

    def results(self) -> Iterator[Any]:
        """Yield the results of all tasks that were sent with a label."""
        yield from (self.login, self.refused, self.insisted, self.nothing, self.report)
        yield from self.group.results
        for body in (self.chord, self.broken):
            yield from body.parent.results
            yield body

    @cached_property
    def labelled(self) -> set[str]:
        """The ids of labelled tasks; the body that never ran has neither label nor name."""
        return {str(one.id) for one in self.results() if one is not self.broken}

    @cached_property
    def ids(self) -> list[str]:
        """The ids of all tasks."""
        return [*self.labelled, str(self.broken.id), str(self.plain.id)]

    def stored(self) -> list[StoredTask]:
        """Return the stored records, still encoded."""
        backend: Any = self.lab.app.backend
        found: list[StoredTask] = backend.results.load(self.ids, primary=True)
        return found

    def states(self) -> Counter[tuple[str, ...]]:
        """Return how often each state of each task was stored; one task also stored RETRY."""
        ends = [(one.name or UNKNOWN, one.status) for one in self.stored()]
        return Counter([*ends, ("together_tasks.insist", "RETRY")])


def counted(name: str) -> Counter[tuple[str, ...]]:
    """Return a metric's samples, as a scraper reads them, by label values."""
    families = text_string_to_metric_families(render()[0].decode())
    samples = [one for family in families for one in family.samples if one.name == name]
    return Counter(
        {
            tuple(one.labels[key] for key in KEYS if key in one.labels): round(one.value)
            for one in samples
        }
    )


def cached() -> bytes:
    """Return all results of this run in Redis."""
    from redis import Redis

    with Redis.from_url(settings.REDIS_URL) as client:
        keys: Any = client.scan_iter(f"*{settings.RUN_NAME}*celery-task-meta*", count=1000)
        return b"".join(client.get(key) or b"" for key in keys)
