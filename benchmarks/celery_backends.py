"""The contenders that are Celery result backends: ours, 2.6.0, ``redis`` and ``db+``.

Each does a piece of work with the calls that Celery's worker and a task's caller make.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from celery import Celery
from celery.app.task import Context

from . import plugged, sample, servers, weighing
from .statements import Statements
from .work import SIZED

__all__ = [
    "CeleryBackend",
    "DjangoBackend",
    "PluggedBackend",
    "RedisBackend",
    "SQLAlchemyBackend",
]

#: Rows to insert at once for the expiry that is measured.
BATCH = 500
LONG_AGO = timedelta(days=2)  # Celery keeps results for one day.


def _total(numbers: list[Any]) -> None:
    """The body of a chord; it is sent, but never run."""


class CeleryBackend:
    """Makes Celery's own calls on one result backend."""

    #: The pieces of work that it can do besides storing and reading.
    works: frozenset[str] = frozenset()

    def __init__(self, url: str, **conf: Any) -> None:
        # The chord's body is sent through a broker in memory, so that no server's time is measured.
        self.app = Celery("benchmark", broker="memory://", backend=url)
        self.app.conf.update(result_extended=True, result_cache_max=-1, **conf)
        self.app.task(name="benchmarks.tasks.total")(_total)
        self.backend: Any = self.app.backend
        self.request = self._request()

    def _request(self, **more: Any) -> Any:
        return Context(
            {
                "task": sample.NAME,
                "hostname": sample.WORKER,
                "argsrepr": sample.ARGS,
                "kwargsrepr": sample.KWARGS,
                "delivery_info": {},
                **more,
            }
        )

    def start(self, task_ids: list[str]) -> None:
        """Write rows with the state STARTED."""
        for task_id in task_ids:
            self.backend.store_result(task_id, {"pid": 1}, "STARTED", request=self.request)

    def store(self, task_id: str, result: object = sample.RESULT) -> None:
        """Write one SUCCESS."""
        self.backend.store_result(task_id, result, "SUCCESS", request=self.request)

    def read(self, task_id: str) -> object:
        """Read one result."""
        return self.backend.get_task_meta(task_id, cache=False)["result"]

    def read_group(self, task_ids: list[str]) -> object:
        """Read the results of a finished group."""
        results: list[Any] = [self.app.AsyncResult(task_id) for task_id in task_ids]
        return self.app.GroupResult(str(uuid4()), results).get()

    def open_chord(self, task_ids: list[str]) -> list[Any]:
        """Apply a chord with these tasks as its header; return a request for each of them."""
        group_id = str(uuid4())
        body = self.app.signature("benchmarks.tasks.total")
        body.freeze()
        body["chord_size"] = len(task_ids)
        header = [self.app.AsyncResult(task_id) for task_id in task_ids]
        self.backend.apply_chord((group_id, header), body)
        self.backend.set_chord_size(group_id, len(task_ids))
        return [
            self._request(id=task_id, group=group_id, group_index=index, chord=body)
            for index, task_id in enumerate(task_ids)
        ]

    def return_part(self, request: Any) -> None:
        """Store a part of a chord and count it; the last one sends the body."""
        self.backend.mark_as_done(request.id, sample.RESULT, request=request)

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""
        raise NotImplementedError

    def expire(self) -> None:
        """Delete the expired rows."""
        self.backend.cleanup()

    @contextmanager
    def watched(self) -> Iterator[Statements | None]:
        """Count the statements in the block, if this backend can."""
        yield None

    def close(self) -> None:
        """Delete the stored results."""


class DjangoBackend(CeleryBackend):
    """``django-db`` of the installed release."""

    works = frozenset({"chord_part", "expire"})

    def __init__(self, **conf: Any) -> None:
        super().__init__("django-db", **conf)

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""
        from django.utils import timezone as django_timezone

        fill_table(count, django_timezone.now() - LONG_AGO)

    @contextmanager
    def watched(self) -> Iterator[Statements | None]:
        """Count the statements that Django executes in the block."""
        from django.db import connection

        statements = Statements()
        with connection.execute_wrapper(statements):
            yield statements


class PluggedBackend(DjangoBackend):
    """``django-db`` with the first-party plugins that ``site.py`` switches on."""

    def __init__(self, kind: str, engine: str) -> None:
        super().__init__(**plugged.celery_settings(kind))
        limit = servers.largest_statement(engine)
        # A quote takes two bytes in MariaDB's statement.
        able = {name for name, size in sample.SIZES.items() if 2 * size < limit}
        self.works = frozenset(work for name in able for work in SIZED[name])

    def _request(self, **more: Any) -> Any:
        return super()._request(headers=sample.HEADERS, **more)


def fill_table(count: int, date_done: datetime) -> None:
    """Empty the tables and write ``count`` rows from that date on, through Django's models.

    The dates are about a millisecond apart, like those of tasks that ended one after another.
    """
    from django_celery_results.models import TaskResult

    weighing.empty_tables()
    # Every release sets the date to the current time when it writes a row.
    moments = (date_done + timedelta(milliseconds=one) for one in itertools.count())
    with patch("django.utils.timezone.now", new=lambda: next(moments)):
        for start in range(0, count, BATCH):
            TaskResult.objects.bulk_create(
                [TaskResult(**_row()) for _ in range(min(BATCH, count - start))]
            )
    weighing.analyze()


def _row() -> dict[str, Any]:
    return {
        "task_id": str(uuid4()),
        "status": "SUCCESS",
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "result": _payload(),
        "task_name": sample.NAME,
        "worker": sample.WORKER,
    }


def _payload() -> str:
    return (uuid4().hex * (sample.PAYLOAD // 32 + 1))[: sample.PAYLOAD]


class SQLAlchemyBackend(CeleryBackend):
    """Celery's own ``db+``."""

    # A task polls these chords, so a part does nothing but store its result.
    works = frozenset({"expire"})

    def __init__(self, database: dict[str, Any]) -> None:
        super().__init__(servers.sqlalchemy_url(database))
        # As in a worker's process; in other processes this backend connects for every call.
        self.backend.session_manager.forked = True

    def fill(self, count: int) -> None:
        """Empty the table and write ``count`` rows that have expired."""
        session = self.backend.ResultSession()
        task = self.backend.task_cls
        session.query(task).delete()
        session.commit()
        for start in range(0, count, BATCH):
            session.execute(
                task.__table__.insert(),
                [self._row() for _ in range(min(BATCH, count - start))],
            )
        session.commit()
        session.close()

    def _row(self) -> dict[str, Any]:
        return {
            "task_id": str(uuid4()),
            "status": "SUCCESS",
            "result": _payload().encode(),
            "date_done": datetime.now(timezone.utc) - LONG_AGO,
            "name": sample.NAME,
            "worker": sample.WORKER,
        }


class RedisBackend(CeleryBackend):
    """Celery's own ``redis``; Redis expires its results."""

    works = frozenset({"chord_part"})

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}:"
        options = {"global_keyprefix": self.prefix}
        super().__init__(servers.REDIS_URL, result_backend_transport_options=options)

    def close(self) -> None:
        """Delete every key that this contender wrote."""
        for key in self.backend.client.scan_iter(f"{self.prefix}*", count=1000):
            self.backend.client.delete(key)
